//! What has to be ended if the run is interrupted: every live child process and work folder.
//!
//! A thread of its own waits for SIGINT and SIGTERM, so that this works in test binaries too, whatever
//! runtime the test uses.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{self, Child},
    sync::{
        Arc, Mutex, MutexGuard, Once, PoisonError, Weak,
        atomic::{AtomicI32, Ordering},
    },
    thread,
};

use tokio::signal::unix::{SignalKind, signal};

use crate::process::end_group;

#[derive(Default)]
struct Live {
    children: Vec<Weak<Mutex<Child>>>,
    dirs: Vec<PathBuf>,
}

static LIVE: Mutex<Live> = Mutex::new(Live { children: Vec::new(), dirs: Vec::new() });
static EXIT_CODE: AtomicI32 = AtomicI32::new(130);
static WATCHER: Once = Once::new();

/// Says which code this process exits with on Ctrl-C: 130 unless told otherwise.
///
/// A command that stays until Ctrl-C calls this with 0 once it has done its work.
pub fn exit_code_on_interrupt(code: i32) {
    EXIT_CODE.store(code, Ordering::Relaxed);
}

/// Locks even if another thread panicked meanwhile: ending children matters more than its panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn register_child(child: &Arc<Mutex<Child>>) {
    watch_signals();
    let mut live = lock(&LIVE);
    live.children.retain(|child| child.strong_count() > 0);
    live.children.push(Arc::downgrade(child));
}

pub(crate) fn register_dir(dir: &Path) {
    watch_signals();
    lock(&LIVE).dirs.push(dir.to_owned());
}

pub(crate) fn forget_dir(dir: &Path) {
    lock(&LIVE).dirs.retain(|known| known != dir);
}

fn watch_signals() {
    WATCHER.call_once(|| {
        thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
            if let Ok(runtime) = runtime {
                runtime.block_on(end_on_signal());
            }
        });
    });
}

async fn end_on_signal() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    let code = tokio::select! {
        _ = interrupt.recv() => EXIT_CODE.load(Ordering::Relaxed),
        _ = terminate.recv() => 143,
    };
    let live = lock(&LIVE);
    for child in live.children.iter().filter_map(Weak::upgrade) {
        end_group(&mut lock(&child));
    }
    for dir in &live.dirs {
        let _ = fs::remove_dir_all(dir);
    }
    process::exit(code);
}
