//! What of `asyncio` a service cannot use, and what it uses in its place.

use crate::model::TASK_GROUP;

/// `asyncio`'s functions that would run or wait outside of the system.
pub(super) fn unsupported(path: &str) -> bool {
    const SUPPORTED: [&str; 6] = ["gather", "sleep", "wait_for", "create_task", "TaskGroup", "iscoroutinefunction"];
    path.strip_prefix("asyncio.")
        .is_some_and(|name| !SUPPORTED.contains(&name) && !path.starts_with(TASK_GROUP) && !name.ends_with("Error"))
}

/// What to do in a service in its place.
pub(super) fn instead(path: &str) -> &'static str {
    match path.trim_start_matches("asyncio.") {
        "timeout" | "timeout_at" => "use `asyncio.wait_for` for the call that may take too long",
        "ensure_future" | "wait" | "as_completed" => {
            "use `asyncio.create_task`, an `asyncio.TaskGroup` or `await asyncio.gather(…)`"
        }
        "shield" => "use `send(client.method(…))`: what is sent is not cancelled with its sender",
        "run" | "Runner" | "new_event_loop" | "get_event_loop" | "get_running_loop" | "run_coroutine_threadsafe" => {
            "methods of services may be `async def`; nothing has to run them"
        }
        "Queue" | "LifoQueue" | "PriorityQueue" => {
            "keep the items in a persistent field, and `send` a call to who works on them"
        }
        "Event" | "Condition" | "Future" => {
            "keep what happened in a persistent field, and `send` a call to who waits for it"
        }
        "Lock" | "Semaphore" | "BoundedSemaphore" | "Barrier" => {
            "use `transaction()`, or an entity: its operations run one at a time"
        }
        "to_thread"
        | "create_subprocess_exec"
        | "create_subprocess_shell"
        | "open_connection"
        | "start_server"
        | "open_unix_connection" => "do it in a function of the module with `@task`: its result is recorded once",
        _ => "a service uses `asyncio.gather`, `create_task`, `TaskGroup`, `wait_for` and `sleep` only",
    }
}
