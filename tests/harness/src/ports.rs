//! Free TCP ports on the loopback address.

use std::{
    net::TcpListener,
    process,
    sync::atomic::{AtomicU16, Ordering},
};

use anyhow::{Result, anyhow};

/// Below Linux's ephemeral range, so no outgoing connection can take a port between the look and its use.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port nobody listens on now, never the same twice in one process.
pub fn free() -> Result<u16> {
    // Runs beside each other start at different places; a collision only costs another look.
    let start = u16::try_from((process::id() * 97) % u32::from(COUNT))?;
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + (start + step) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(anyhow!("no free port on 127.0.0.1 between {FIRST} and {}", FIRST + COUNT))
}
