//! An HTTP server that does nothing, on threads of this process: what the clients and the machine can do at most.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
};

use anyhow::Result;

use crate::{
    cell::Plan,
    client::{Request, closed_loop},
    report::Figures,
};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n1";

/// Measures it.
pub(crate) fn measure(plan: &Plan, clients: usize) -> Result<Figures> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    // The thread ends with the process: it waits for connections that nobody opens any more.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    let next = |_, _| Request { path: "/Counter/increment".to_owned(), args: r#"["key"]"#.to_owned() };
    let seen = closed_loop(address, clients, (plan.warm / 2, plan.measured / 2), plan.keys, &next, || Ok(()))?;
    Ok(Figures::of_seen("echo", clients, &seen))
}

/// Answers each request; a request of our clients is one packet.
fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; 16 * 1024];
    while stream.read(&mut buffer)? > 0 {
        stream.write_all(ANSWER)?;
    }
    Ok(())
}
