//! By what right a probe enters: a key, of which it makes tokens of its own, or tokens it was given.

use crate::client::api::Keys;

#[derive(Clone, Debug)]
pub enum Access {
    Keys(Keys),
    /// Tokens of two people who may join the same room: the first publishes, the second subscribes.
    Tokens([String; 2]),
}

/// Which of the two a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Sender,
    Receiver,
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Role::Sender => "sender",
            Role::Receiver => "receiver",
        }
    }
}

impl Access {
    pub fn token(&self, role: Role, room: &str) -> String {
        match self {
            Access::Keys(keys) => keys.join(room, &format!("lkops-probe-{}", role.name())),
            Access::Tokens([sender, _]) if role == Role::Sender => sender.clone(),
            Access::Tokens([_, receiver]) => receiver.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_tokens_are_used_as_they_are() {
        let access = Access::Tokens(["a".into(), "b".into()]);
        assert_eq!([Role::Sender, Role::Receiver].map(|role| access.token(role, "r")), ["a", "b"]);
    }
}
