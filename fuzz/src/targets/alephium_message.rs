//! What an Alephium node pushes, in both layouts, and what a miner hands over.

use pool_coins::alephium::wire::{Frames, FromNode, Layout, layout_of, read_submit, write_submit};

/// A frame that is read is written as it was; frames come out of a stream the same however it is cut.
pub fn target(data: &[u8]) {
    for layout in [Layout::Versioned, Layout::Bare] {
        if let Ok(message) = FromNode::read(data, layout) {
            let mut out = Vec::new();
            message.write(layout, &mut out);
            // A target may come with more zeros in front than it is written with.
            assert_eq!(FromNode::read(&out[4..], layout).as_ref(), Ok(&message));
            assert!(out.len() <= data.len() + 4 + 16 * 33);
            if matches!(message, FromNode::Jobs(_)) {
                assert_eq!(layout_of(&out[4..]), Ok(layout), "jobs tell their layout");
            }
        }
        if let Ok(block) = read_submit(data, layout) {
            let mut out = Vec::new();
            write_submit(block, layout, &mut out);
            assert_eq!(&out[4..], data);
        }
    }
    let cut = |step: usize| {
        let (mut frames, mut found) = (Frames::default(), Vec::new());
        for chunk in data.chunks(step) {
            frames.push(chunk);
            loop {
                match frames.next_frame() {
                    Ok(Some(frame)) => found.push(frame.to_vec()),
                    Ok(None) => break,
                    // Whoever sends this is cut off.
                    Err(_) => return (found, true),
                }
            }
        }
        (found, false)
    };
    assert_eq!(cut(1), cut(data.len().max(1)));
}
