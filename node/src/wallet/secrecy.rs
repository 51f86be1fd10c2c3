//! Keeping the memory of this process from files and from other processes.
//!
//! A variable of the environment that held a passphrase stays in the environment: taking it out is not safe while other
//! threads may read there, and no unsafe code is allowed here. What this does instead on Linux makes `/proc/PID/environ`
//! unreadable for all but the administrator.

/// Has the system write no core dump of this process and, on Linux, let no other process of this user look into it. Where it
/// declines, the process goes on as it was.
pub fn keep_memory_private() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let none = Rlimit { current: Some(0), maximum: Some(0) };
        if let Err(error) = setrlimit(Resource::Core, none) {
            tracing::debug!(%error, "core dumps stay allowed");
        }
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
            tracing::debug!(%error, "this process stays dumpable");
        }
    }
}
