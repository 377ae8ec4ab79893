//! Single cases of any scheme from JSON: [`split_text`], which operators' pages and other people's tests call.

use super::text;
use pool_rewards::case::split_text;
use serde_json::Value;

/// A case has an answer, a JSON object on one line and the same each time, or an error that says where.
pub fn target(data: &[u8]) {
    let text = text(data);
    match split_text(&text) {
        Ok(answer) => {
            assert!(!answer.contains('\n'));
            let value: Value = serde_json::from_str(&answer).expect("an answer is JSON");
            assert!(value.is_object());
            assert_eq!(split_text(&text), Ok(answer));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
