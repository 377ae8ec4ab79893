//! Difficulties as people and miners write them: in passwords, in suggestions, in configuration.
//!
//! A difficulty is text for work, and a share's worth must not depend on how it was written.

use super::text;
use pool_core::units::{Work, mul_div};
use pool_stratum::dialect::Dialect;
use pool_stratum::dialect::kaspa::{Kaspa, KaspaWork, difficulty};

/// What is read is what a plain calculation gives, and what is printed is read as the same work again.
pub fn target(data: &[u8]) {
    let text = text(data);
    let read = difficulty::parse(&text);
    if let Some(expected) = plain(&text) {
        assert_eq!(read, expected, "{text:?}");
    }
    if let Some(work) = read {
        let printed = print(work);
        assert_eq!(difficulty::parse(&printed), Some(work), "{printed}");
        let doubled = Work::new(work.get().saturating_mul(2)).expect("twice something is something");
        assert!(
            difficulty::share_target(doubled) <= difficulty::share_target(work),
            "more work is not easier"
        );
    }
    // A password is several options in one text; what it asks for must survive being asked for again.
    let dialect = Kaspa::<KaspaWork>::default();
    if let Some(work) = dialect.password_work(&text) {
        let again = format!("d={}", print(work));
        assert_eq!(dialect.password_work(&again), Some(work), "{again}");
    }
}

fn print(work: Work) -> String {
    let mut printed = Vec::new();
    difficulty::write(work, &mut printed);
    String::from_utf8(printed).expect("digits are ASCII")
}

/// The work of up to 28 digits and a point, by one multiplication and one division; `None` for other texts.
fn plain(text: &str) -> Option<Option<Work>> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = [whole, fraction].concat();
    if whole.is_empty() || digits.len() > 28 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let scale = 10u128.pow(u32::try_from(fraction.len()).ok()?);
    let hashes = mul_div(digits.parse().ok()?, 1 << 32, scale)?;
    Some(Work::new(hashes).ok())
}
