//! A line in, a line out: how `pow`, `address` and `split` serve other programs.

use serde_json::Value;
use std::io::{BufRead, Write};
use std::process::ExitCode;

/// The longest line that is read. A line may hold a whole share log, so this is generous; it is still a bound.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// Answers every line of standard input. A line that cannot be answered gets `{"error":…}`, the next one is read, and
/// the exit status says at the end that not all was well.
pub(crate) fn answer(mut of: impl FnMut(&str) -> Result<Value, String>) -> anyhow::Result<ExitCode> {
    let (mut input, mut output) =
        (std::io::stdin().lock(), std::io::BufWriter::new(std::io::stdout().lock()));
    let mut all_well = true;
    let mut line = Vec::new();
    loop {
        line.clear();
        if std::io::Read::take(&mut input, LINE_BYTES_MAX).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let answer = match std::str::from_utf8(&line) {
            Ok(text) if text.trim().is_empty() => continue,
            Ok(text) => of(text.trim()),
            Err(_) => Err("the line is not UTF-8".to_owned()),
        };
        let answer = answer.unwrap_or_else(|error| {
            all_well = false;
            serde_json::json!({ "error": error })
        });
        serde_json::to_writer(&mut output, &answer)?;
        output.write_all(b"\n")?;
        // Another program may wait for this answer before it asks again.
        output.flush()?;
    }
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
