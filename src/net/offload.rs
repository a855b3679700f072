//! Socket options of segmentation offload that no safe interface has. Called by `udp`.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Sets UDP_GRO (udp(7), Linux 5.0).
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
pub fn set_gro(socket: &impl AsFd, on: bool) -> io::Result<()> {
    let value = libc::c_int::from(on);
    // SAFETY: the descriptor is open for as long as `socket` is borrowed, and the option's value is an int that outlives
    // the call, which only reads it.
    let answer = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_GRO,
            std::ptr::from_ref(&value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Other systems join nothing, so there is nothing to switch off.
#[cfg(not(target_os = "linux"))]
pub fn set_gro(_: &impl AsFd, on: bool) -> io::Result<()> {
    if on { Err(io::ErrorKind::Unsupported.into()) } else { Ok(()) }
}
