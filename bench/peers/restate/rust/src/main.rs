//! The canonical workloads for Restate's Rust SDK.

use restate_sdk::prelude::*;
use serde::{Deserialize, Serialize};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CITIES: [&str; 5] = ["Tokyo", "Seattle", "London", "Amsterdam", "Lima"];
const FAN: u64 = 100;
const FUNDS: i64 = 1000;

#[derive(Serialize, Deserialize)]
struct Transfer {
    source: String,
    target: String,
    amount: i64,
}

struct Bench;
struct Worker;
struct Tally;
struct Account;

#[service(name = "Bench")]
impl Bench {
    #[handler]
    async fn noop(&self, _context: Context<'_>) -> Result<(), HandlerError> {
        Ok(())
    }

    /// Five journalled steps in sequence.
    #[handler]
    async fn hello5(&self, context: Context<'_>) -> Result<String, HandlerError> {
        let mut text = String::new();
        for city in CITIES {
            let hello: String = context.run(|| async move { Ok(format!("Hello {city}! ")) }).name("hello").await?;
            text.push_str(&hello);
        }
        Ok(text)
    }

    /// A hundred calls side by side, summed: `run` of this SDK cannot be awaited side by side.
    #[handler]
    async fn fanout(&self, context: Context<'_>) -> Result<u64, HandlerError> {
        let calls: Vec<_> = (0..FAN).map(|number| context.service_client::<WorkerClient>().same(number).call()).collect();
        let mut sum = 0;
        for call in calls {
            sum += call.await?;
        }
        Ok(sum)
    }

    /// Two calls, each exactly once; others see what is between them.
    #[handler]
    async fn transfer(&self, context: Context<'_>, order: Json<Transfer>) -> Result<(), HandlerError> {
        let Transfer { source, target, amount } = order.into_inner();
        context.object_client::<AccountClient>(source).change(-amount).call().await?;
        context.object_client::<AccountClient>(target).change(amount).call().await?;
        Ok(())
    }
}

#[service(name = "Worker")]
impl Worker {
    #[handler]
    async fn same(&self, _context: Context<'_>, number: u64) -> Result<u64, HandlerError> {
        Ok(number)
    }
}

#[object(name = "Tally")]
impl Tally {
    #[handler]
    async fn add(&self, context: ObjectContext<'_>, amount: u64) -> Result<u64, HandlerError> {
        let count = context.get::<u64>("count").await?.unwrap_or(0) + amount;
        context.set("count", count);
        Ok(count)
    }

    #[handler]
    async fn get(&self, context: SharedObjectContext<'_>) -> Result<u64, HandlerError> {
        Ok(context.get::<u64>("count").await?.unwrap_or(0))
    }
}

#[object(name = "Account")]
impl Account {
    #[handler]
    async fn change(&self, context: ObjectContext<'_>, amount: i64) -> Result<i64, HandlerError> {
        let funds = context.get::<i64>("funds").await?.unwrap_or(FUNDS) + amount;
        context.set("funds", funds);
        Ok(funds)
    }

    #[handler]
    async fn get(&self, context: SharedObjectContext<'_>) -> Result<i64, HandlerError> {
        Ok(context.get::<i64>("funds").await?.unwrap_or(FUNDS))
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).unwrap_or_default();
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let endpoint = Endpoint::builder().bind(Bench).bind(Worker).bind(Tally).bind(Account).build();
    HttpServer::new(endpoint).serve(listener).await;
    Ok(())
}
