//! Owns telling what is this node's own trouble from what is that of the server: the former says nothing of an endpoint.

use std::error::Error;
use std::fmt;
use std::io;

/// Open files: of this process, of the machine. They have no kind of their own in the standard library.
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;
/// Room for the network's buffers.
const ENOBUFS: i32 = if cfg!(target_os = "linux") { 105 } else { 55 };

/// What resolvers say who could not ask anybody (`EAI_AGAIN`), in glibc and in musl. The standard library passes on their words alone.
const AGAIN: [&str; 2] = ["Temporary failure in name resolution", ": Try again"];

/// This node's own trouble.
#[derive(Debug)]
pub(super) struct OwnTrouble(String);

impl fmt::Display for OwnTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for OwnTrouble {}

impl OwnTrouble {
    pub(super) fn error(why: &str) -> io::Error {
        io::Error::other(Self(why.to_owned()))
    }

    /// The error of a look-up, which is ours if it was none of the name.
    pub(super) fn of_look_up(error: io::Error) -> io::Error {
        let said = error.to_string();
        if AGAIN.iter().any(|again| said.contains(again)) {
            io::Error::new(error.kind(), Self(said))
        } else {
            error
        }
    }

    /// Whether an error on the way to a connection has its cause here.
    pub(super) fn is_in(error: &(dyn Error + 'static)) -> bool {
        let mut next = Some(error);
        while let Some(error) = next {
            let io = error.downcast_ref::<io::Error>();
            // The sources of such an error pass over the one that it was made of.
            let inner = io.and_then(io::Error::get_ref);
            if error.is::<Self>() || io.is_some_and(is_ours) || inner.is_some_and(|inner| Self::is_in(inner))
            {
                return true;
            }
            next = error.source();
        }
        false
    }
}

fn is_ours(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::OutOfMemory
    ) || matches!(error.raw_os_error(), Some(EMFILE | ENFILE | ENOBUFS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Around(io::Error);

    impl fmt::Display for Around {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("around")
        }
    }

    impl Error for Around {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn what_is_missing_here_is_ours_and_what_the_server_does_is_not() {
        let look_up = |said: &str| {
            let said = format!("failed to lookup address information: {said}");
            OwnTrouble::of_look_up(io::Error::other(said))
        };
        let os = io::Error::from_raw_os_error;
        let ours = [
            os(EMFILE),
            os(ENFILE),
            os(ENOBUFS),
            io::ErrorKind::AddrNotAvailable.into(),
            io::ErrorKind::OutOfMemory.into(),
            look_up("Temporary failure in name resolution"),
            look_up("Try again"),
            OwnTrouble::error("no place"),
        ];
        let theirs = [
            io::ErrorKind::ConnectionRefused.into(),
            io::ErrorKind::ConnectionReset.into(),
            io::ErrorKind::TimedOut.into(),
            io::ErrorKind::HostUnreachable.into(),
            io::ErrorKind::NetworkUnreachable.into(),
            io::ErrorKind::PermissionDenied.into(),
            io::ErrorKind::UnexpectedEof.into(),
            look_up("Name or service not known"),
            look_up("No address associated with hostname"),
            io::Error::other("invalid peer certificate"),
        ];
        for (errors, is_ours) in [(Vec::from(ours), true), (Vec::from(theirs), false)] {
            for error in errors {
                assert_eq!(OwnTrouble::is_in(&error), is_ours, "{error}");
                // However deep it lies.
                let around = Around(io::Error::other(Around(error)));
                assert_eq!(OwnTrouble::is_in(&around), is_ours, "{:?}", around.0);
            }
        }
    }
}
