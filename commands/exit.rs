//! The one place where failures become messages and exit codes: 0 done, 1 failed, 2 usage or configuration, 3 done in part,
//! 4 a threshold was missed, from 10 on what a probe found.

use lkops::config::Complaint;
use std::process::ExitCode;

/// Why a command did not do what it was asked.
pub enum Failure {
    /// The configuration is wrong; every line of it.
    Config(Vec<Complaint>),
    /// The flags ask for something that makes no sense.
    Usage(String),
    Failed(anyhow::Error),
    /// Some of it was done.
    Partial(String),
    /// A threshold was missed; every one of them.
    Missed(Vec<String>),
    /// A probe found a fault, which has an exit code of its own.
    Found(u8, String),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure::Failed(error.into())
    }
}

/// Prints a failure on stderr, a line each, and answers the process's exit code.
pub fn report(result: Result<(), Failure>) -> ExitCode {
    let Err(failure) = result else { return ExitCode::SUCCESS };
    let (code, lines) = match failure {
        Failure::Config(complaints) => (2, complaints.iter().map(Complaint::to_string).collect()),
        Failure::Usage(what) => (2, vec![what]),
        Failure::Partial(what) => (3, vec![what]),
        Failure::Missed(what) => (4, what),
        Failure::Found(code, what) => (code, vec![what]),
        Failure::Failed(error) => (1, vec![format!("{error:#}")]),
    };
    for line in lines {
        eprintln!("error: {line}");
    }
    ExitCode::from(code)
}
