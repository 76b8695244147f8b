//! What has to be ended if the run is interrupted: every live child process, what was promised to be undone, and
//! every work folder.
//!
//! A thread of its own waits for SIGINT, SIGTERM and SIGHUP, so that this works in test binaries too, whatever
//! runtime the test uses.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{self, Child},
    sync::{
        Arc, Mutex, MutexGuard, Once, PoisonError, Weak,
        atomic::{AtomicBool, AtomicI32, Ordering},
    },
    thread,
};

use tokio::signal::unix::{SignalKind, signal};

use crate::process::end_group;

/// What is done once after the children were ended.
type Cleanup = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Live {
    children: Vec<Weak<Mutex<Child>>>,
    cleanups: Vec<Cleanup>,
    dirs: Vec<PathBuf>,
}

static LIVE: Mutex<Live> = Mutex::new(Live { children: Vec::new(), cleanups: Vec::new(), dirs: Vec::new() });
static EXIT_CODE: AtomicI32 = AtomicI32::new(130);
static INTERRUPTED: AtomicBool = AtomicBool::new(false);
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

/// Has `cleanup` called when the run is interrupted, after its children were ended and before its folders go.
pub(crate) fn register_cleanup(cleanup: impl FnOnce() + Send + 'static) {
    watch_signals();
    lock(&LIVE).cleanups.push(Box::new(cleanup));
}

pub(crate) fn register_dir(dir: &Path) {
    watch_signals();
    lock(&LIVE).dirs.push(dir.to_owned());
}

pub(crate) fn forget_dir(dir: &Path) {
    lock(&LIVE).dirs.retain(|known| known != dir);
}

/// Does not return once the run is interrupted: whoever sees a child end because of that leaves the rest, and the exit
/// code, to the thread that ended it.
pub(crate) fn yield_to_interrupt() {
    while INTERRUPTED.load(Ordering::SeqCst) {
        thread::park();
    }
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
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()));
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = signals else { return };
    let code = tokio::select! {
        _ = interrupt.recv() => EXIT_CODE.load(Ordering::Relaxed),
        _ = terminate.recv() => 143,
        _ = hangup.recv() => 129,
    };
    INTERRUPTED.store(true, Ordering::SeqCst);
    let mut live = lock(&LIVE);
    for child in live.children.iter().filter_map(Weak::upgrade) {
        end_group(&mut lock(&child));
    }
    for cleanup in live.cleanups.drain(..) {
        cleanup();
    }
    for dir in &live.dirs {
        let _ = fs::remove_dir_all(dir);
    }
    process::exit(code);
}
