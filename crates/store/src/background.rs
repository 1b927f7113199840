//! Threads that take the time that others leave.

/// How much nicer such a thread is than others. Where all processors are busy it has a third of the time that another
/// thread has: it falls behind in a burst, and lasting load does not stop it, upon which rows would wait in memory.
#[cfg(target_os = "linux")]
const NICER_BY: i32 = 5;

/// Lets this thread, and all that it starts from now on, give way to the threads of the same machine that requests wait
/// for. It cannot be taken back.
pub fn give_way() {
    // Elsewhere that would be the priority of the whole process.
    #[cfg(target_os = "linux")]
    {
        // It is slower for others without, not wrong.
        let _ = rustix::process::nice(NICER_BY);
    }
}
