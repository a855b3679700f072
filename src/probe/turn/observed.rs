//! What a TURN server answered: allocations and permissions given and refused, read from its messages as they pass
//! (RFC 8489 §5 and §14.8, RFC 8656 §18). Written by `bridge`.

use std::time::Duration;

/// Methods whose answers matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Allocate,
    CreatePermission,
    ChannelBind,
}

/// An error the server gave for a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: u16,
    pub reason: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.code, self.reason)
    }
}

/// What is known of one server.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// How long TCP, and TLS over it, took.
    pub connected: Option<Duration>,
    /// Why the server cannot be reached.
    pub unreachable: Option<String>,
    /// From the first request to the first allocation.
    pub allocated: Option<Duration>,
    pub refused: Option<Refusal>,
    /// An address it would not relay to.
    pub forbidden: Option<Refusal>,
    /// Permissions and channels it gave.
    pub permitted: u32,
    /// Allocate requests it answered 401, as it does to the first of each flow to name its realm and nonce.
    challenges: u32,
    pub flows: u32,
}

/// An answer that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Granted(Method),
    Refused(Method, Refusal),
}

const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
const ERROR_CODE: u16 = 0x0009;
const UNAUTHORIZED: u16 = 401;
/// The nonce has aged: it is asked again with the new one.
const STALE_NONCE: u16 = 438;

/// Reads an answer; `None` for other messages.
pub fn read(message: &[u8]) -> Option<Answer> {
    let (header, attributes) = message.split_first_chunk::<20>()?;
    let kind = u16::from_be_bytes([header[0], header[1]]);
    if header[4..8] != MAGIC_COOKIE {
        return None;
    }
    // Method bits around the class bits 0x0110.
    let method = match kind & !0x0110 {
        0x0003 => Method::Allocate,
        0x0008 => Method::CreatePermission,
        0x0009 => Method::ChannelBind,
        _ => return None,
    };
    match kind & 0x0110 {
        0x0100 => Some(Answer::Granted(method)),
        0x0110 => Some(Answer::Refused(method, error(attributes)?)),
        _ => None,
    }
}

fn error(mut attributes: &[u8]) -> Option<Refusal> {
    loop {
        let ([t0, t1, l0, l1], rest) = attributes.split_first_chunk::<4>()?;
        let length = usize::from(u16::from_be_bytes([*l0, *l1]));
        let value = rest.get(..length)?;
        if u16::from_be_bytes([*t0, *t1]) == ERROR_CODE {
            let ([_, _, class, number], reason) = value.split_first_chunk::<4>()?;
            let code = u16::from(class & 7) * 100 + u16::from(*number);
            let reason = String::from_utf8_lossy(reason).chars().filter(|c| !c.is_control()).take(80).collect();
            return Some(Refusal { code, reason });
        }
        attributes = rest.get(length.next_multiple_of(4)..)?;
    }
}

impl View {
    /// Notes an answer that came so long after the first request.
    pub fn note(&mut self, answer: Answer, after: Duration) {
        match answer {
            Answer::Granted(Method::Allocate) => _ = self.allocated.get_or_insert(after),
            Answer::Granted(_) => self.permitted += 1,
            Answer::Refused(_, refusal) if refusal.code == STALE_NONCE => {}
            Answer::Refused(Method::Allocate, refusal) if refusal.code == UNAUTHORIZED => {
                self.challenges += 1;
                if self.challenges > self.flows {
                    self.refused = Some(refusal);
                }
            }
            Answer::Refused(Method::Allocate, refusal) => self.refused = Some(refusal),
            Answer::Refused(_, refusal) => self.forbidden = Some(refusal),
        }
    }

    /// There will be no allocation.
    pub fn is_over(&self) -> bool {
        self.allocated.is_none() && (self.unreachable.is_some() || self.refused.is_some())
    }

    /// Why there is no allocation.
    pub fn why(&self) -> String {
        match (&self.unreachable, &self.refused) {
            (Some(why), _) => why.clone(),
            (None, Some(refusal)) => format!("allocation refused: {refusal}"),
            (None, None) => "no answer".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(kind: u16, attributes: &[u8]) -> Vec<u8> {
        let mut message = kind.to_be_bytes().to_vec();
        message.extend((attributes.len() as u16).to_be_bytes());
        message.extend(MAGIC_COOKIE);
        message.extend([0; 12]);
        message.extend(attributes);
        message
    }

    fn error_message(kind: u16, code: u16) -> Vec<u8> {
        let software = [0x80, 0x22, 0, 1, b'x', 0, 0, 0];
        let error = [0, 9, 0, 6, 0, 0, (code / 100) as u8, (code % 100) as u8, b'n', b'o', 0, 0];
        message(kind, &[&software[..], &error[..]].concat())
    }

    fn view(answers: &[Vec<u8>]) -> View {
        let mut view = View { flows: 1, ..View::default() };
        answers.iter().filter_map(|message| read(message)).for_each(|answer| view.note(answer, Duration::ZERO));
        view
    }

    #[test]
    fn the_first_401_is_a_challenge_and_the_second_a_refusal() {
        let challenge = error_message(0x0113, 401);
        assert!(!view(std::slice::from_ref(&challenge)).is_over());
        let refused = view(&[challenge.clone(), challenge.clone()]);
        assert!(refused.is_over());
        assert_eq!(refused.why(), "allocation refused: 401 no");
        assert!(view(&[challenge, message(0x0103, &[])]).allocated.is_some());
    }

    #[test]
    fn other_refusals_stand_at_once_but_for_an_aged_nonce() {
        assert_eq!(view(&[error_message(0x0113, 486)]).why(), "allocation refused: 486 no");
        assert!(!view(&[error_message(0x0113, 438)]).is_over());
        let forbidden = view(&[message(0x0103, &[]), error_message(0x0118, 403)]);
        assert_eq!((forbidden.is_over(), forbidden.forbidden.map(|refusal| refusal.code)), (false, Some(403)));
    }

    #[test]
    fn requests_and_bindings_say_nothing() {
        assert_eq!([0x0003, 0x0101, 0x0016].map(|kind| read(&message(kind, &[]))), [None, None, None]);
        assert_eq!(read(&message(0x0108, &[])), Some(Answer::Granted(Method::CreatePermission)));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..80), kind in any::<u16>()) {
            let _ = read(&bytes);
            bytes.splice(0..0, message(kind, &[]));
            let _ = read(&bytes);
        }
    }
}
