//! What miners of this chain write into a login.
//!
//! Pools have taught them several ways: `ADDRESS`, `ADDRESS.PAYMENTID`, `ADDRESS.WORKER`, `ADDRESS+DIFFICULTY`,
//! `ADDRESS.PAYMENTID+DIFFICULTY`, the same with `,`, `#` or `/`, a `solo:` or `prop:` in front, the worker's name as the
//! password, and `d=` in it. All are read here into one: the account with its payment id behind `#`, a dot, the worker;
//! and a difficulty, which is passed on as a `d=` in front of the password. An address has none of these characters, so
//! nothing is ambiguous but the last number: 64 hexadecimal digits are a payment id, and a number of 1000 or more that
//! comes last behind a dot is a difficulty, as the miner of 2.3.5 writes it.

use pool_core::units::Work;

/// What divides a login into parts.
const SEPARATORS: [char; 5] = ['#', '.', '+', ',', '/'];
/// The least number behind a dot that is a difficulty and not a worker's name.
const DIFFICULTY_MIN: u128 = 1_000;
/// Difficulties are printed with at most so many digits.
const DIGITS_MAX: usize = 20;

/// A login, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The address, unchecked.
    pub address: String,
    /// 64 hexadecimal digits in lower case.
    pub payment_id: Option<String>,
    /// The machine.
    pub worker: Option<String>,
    /// A fixed difficulty.
    pub difficulty: Option<Work>,
}

/// A login that says two things at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadAccount {
    /// Two payment ids.
    #[error("invalid login: two payment ids")]
    PaymentIds,
    /// Two difficulties.
    #[error("invalid login: two difficulties")]
    Difficulties,
    /// Something behind a `+` that is no difficulty.
    #[error("invalid login: what follows + is no difficulty")]
    Difficulty,
}

fn number(text: &str) -> Option<Work> {
    let plain = (1..=DIGITS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok().and_then(|number| Work::new(number).ok()) } else { None }
}

fn is_payment_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl Account {
    /// Reads a login; the password names the worker if the login does not.
    ///
    /// # Errors
    /// [`BadAccount`]. Whether the address is one is not looked at.
    pub fn parse(login: &str, password: &str) -> Result<Self, BadAccount> {
        let login = login.trim();
        let login = ["solo:", "prop:"].into_iter().find_map(|way| login.strip_prefix(way)).unwrap_or(login);
        let mut rest = login;
        let mut next = || {
            let end = rest.find(SEPARATORS).unwrap_or(rest.len());
            let (token, behind) = rest.split_at(end);
            let separator = behind.chars().next();
            rest = separator.map_or("", |separator| &behind[separator.len_utf8()..]);
            (token, separator)
        };
        let (address, mut separator) = next();
        let mut account = Self { address: address.trim().to_owned(), ..Self::default() };
        while let Some(before) = separator {
            let (token, behind) = next();
            let token = token.trim();
            separator = behind;
            let last = behind.is_none();
            let dotted = (before == '.' && last).then(|| number(token)).flatten();
            let difficulty = match before {
                '+' => Some(number(token).ok_or(BadAccount::Difficulty)?),
                _ => dotted.filter(|work| work.get() >= DIFFICULTY_MIN),
            };
            if let Some(difficulty) = difficulty {
                if account.difficulty.replace(difficulty).is_some() {
                    return Err(BadAccount::Difficulties);
                }
            } else if is_payment_id(token) {
                if account.payment_id.replace(token.to_ascii_lowercase()).is_some() {
                    return Err(BadAccount::PaymentIds);
                }
            } else if !token.is_empty() && account.worker.is_none() {
                account.worker = Some(token.to_owned());
            }
        }
        let password = password.trim();
        let names = !password.is_empty() && !password.eq_ignore_ascii_case("x") && !password.contains('=');
        if account.worker.is_none() && names {
            account.worker = Some(password.to_owned());
        }
        Ok(account)
    }

    /// The account and the worker as one text, as every session takes them.
    #[must_use]
    pub fn user(&self) -> String {
        let mut user = self.address.clone();
        if let Some(id) = &self.payment_id {
            user.push('#');
            user.push_str(id);
        }
        if let Some(worker) = &self.worker {
            user.push('.');
            user.push_str(worker);
        }
        user
    }

    /// The password with the login's difficulty in front.
    #[must_use]
    pub fn password(&self, password: &str) -> String {
        match self.difficulty {
            Some(difficulty) => format!("d={};{password}", difficulty.get()),
            None => password.to_owned(),
        }
    }
}

/// The work that `d=` or `diff=` in a password asks for. Unit: hashes, which is this chain's difficulty.
#[must_use]
pub fn password_work(password: &str) -> Option<Work> {
    password.split([',', ';', ' ']).find_map(|option| {
        let (key, value) = option.split_once('=')?;
        let key = key.trim();
        let asks = key.eq_ignore_ascii_case("d") || key.eq_ignore_ascii_case("diff");
        if asks { number(value.trim()) } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: &str =
        "XwoViygnRn7QaFtbc8XkwigF5oXhRZ41uinUK8XviwvAe4XjHJqfUVHGcieAJQSyWcQ1d6tzfGvyz5KZKSNeU3Bh1d9FDxNoJ";

    /// User, difficulty.
    fn read(login: &str, password: &str) -> (String, Option<u128>) {
        let account = Account::parse(&login.replace('@', A), password).unwrap();
        let work = password_work(&account.password(password)).map(Work::get);
        (account.user().replace(A, "@"), work)
    }

    fn both(user: &str, work: Option<u128>) -> (String, Option<u128>) {
        (user.to_owned(), work)
    }

    #[test]
    fn every_way_to_write_a_login() {
        let id = "0123456789abcdef".repeat(4);
        assert_eq!(read("@", "x"), both("@", None));
        assert_eq!(read(" @ ", ""), both("@", None));
        assert_eq!(read("solo:@", "x"), both("@", None));
        assert_eq!(read("@.rig1", "x"), both("@.rig1", None));
        assert_eq!(read("@", "rig2"), both("@.rig2", None));
        assert_eq!(read("@.rig1", "rig2"), both("@.rig1", None));
        assert_eq!(read("@+50000", "x"), both("@", Some(50_000)));
        assert_eq!(read("@.50000", "x"), both("@", Some(50_000)));
        assert_eq!(read("@.7", "x"), both("@.7", None));
        assert_eq!(read("@.50000.rig", "x"), both("@.50000", None));
        assert_eq!(read("@.rig.50000", "x"), both("@.rig", Some(50_000)));
        assert_eq!(read("@", "d=9000"), both("@", Some(9_000)));
        assert_eq!(read("@+1000", "d=9000"), both("@", Some(1_000)));
        assert_eq!(read("@", "c=DNX;D=9000"), both("@", Some(9_000)));
        for separator in ["#", ".", ",", "/"] {
            assert_eq!(read(&format!("@{separator}{id}"), "x"), both(&format!("@#{id}"), None));
            let with = format!("@{separator}{}+777", id.to_uppercase());
            assert_eq!(read(&with, "x"), both(&format!("@#{id}"), Some(777)));
            let with = format!("@{separator}{id}.rig");
            assert_eq!(read(&with, "x"), both(&format!("@#{id}.rig"), None));
        }
        assert_eq!(read("@.0123456789abcdef", "x"), both("@.0123456789abcdef", None), "16 digits are a name");
    }

    #[test]
    fn two_things_at_once_are_refused() {
        let id = "ab".repeat(32);
        let refused = |login: &str| Account::parse(login, "x").unwrap_err();
        assert_eq!(refused(&format!("@.{id}.{id}")), BadAccount::PaymentIds);
        assert_eq!(refused("@+1000+2000"), BadAccount::Difficulties);
        for bad in ["@+", "@+x", "@+0", "@+-5", "@+123456789012345678901"] {
            assert_eq!(refused(bad), BadAccount::Difficulty, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_login_has_an_answer(login: String, password: String) {
            if let Ok(account) = Account::parse(&login, &password) {
                prop_assert!(!account.address.contains(SEPARATORS));
                let _ = password_work(&account.password(&password));
            }
        }
    }
}
