//! Transactions: submitted, one or many, and read; the pool.

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::IntoResponse,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Answer, answer};
use crate::{
    application::{Command, Reply, Service, reply::Answered},
    interface::{
        http::{
            extract::{self, MAX_BODY, NoQuery, Payload, Query, Segment},
            problem::Problem,
        },
        view::{self, json::Submission},
    },
};

/// Transactions in one request.
const MAX_BATCH: usize = 1_000;
/// Transactions of the pool in one answer that does not say how many it wants; and at most.
const DEFAULT_POOL_PAGE: usize = 1_000;
const MAX_POOL_PAGE: usize = 10_000;

pub(super) fn router() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(submit_transactions)).routes(routes!(transaction)).routes(routes!(pool))
}

/// What came of each transaction, in their order.
#[derive(Serialize, ToSchema)]
struct Results {
    results: Vec<Verdict>,
}

/// What came of one of several transactions.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum Verdict {
    /// It is taken.
    Taken(view::json::TransactionTaken),
    /// It is refused.
    Refused {
        /// Why.
        problem: Problem,
    },
}

/// Submit signed transactions
///
/// One, or up to 1,000: `{"transactions": [...]}` is answered with 200 and a verdict for each.
#[utoipa::path(post, path = "/api/v1/transactions", tag = "chain",
    request_body(content((Submission = "application/json"), (view::json::Cbor = "application/cbor"))),
    responses((status = 201, description = "The one is in the pool.", body = view::json::TransactionTaken,
            headers(("location" = String, description = "Where to read it."))),
        (status = 200, description = "What came of each.", body = Results)))]
async fn submit_transactions(State(service): State<Service>, request: Request) -> Answer {
    let submission = match extract::payload(request, MAX_BODY).await? {
        Payload::Cbor(bytes) => return submit_one(&service, bytes.into()).await,
        Payload::Json(bytes) => extract::from_json::<Submission>(&bytes)?,
    };
    match (submission.hex, submission.transactions) {
        (Some(hex), None) => submit_one(&service, extract::from_hex("hex", &hex)?).await,
        (None, Some(all)) => submit_all(&service, &all).await,
        _ => Err(Problem::malformed("either hex or transactions is needed, and not both")),
    }
}

async fn execute(service: &Service, all: Vec<Vec<u8>>) -> Result<Vec<Answered>, Problem> {
    match service.execute(Command::SubmitTransactions { all }).await? {
        Reply::Answers(answers) => Ok(answers),
        _ => Err(Problem::unavailable("the node answered something else")),
    }
}

fn verdict(answered: Answered) -> Verdict {
    match (view::json::TransactionTaken::of(&answered), answered.outcome) {
        (Some(taken), _) => Verdict::Taken(taken),
        (None, Err(failure)) => Verdict::Refused { problem: failure.into() },
        (None, Ok(_)) => Verdict::Refused { problem: Problem::unavailable("its id is not known") },
    }
}

async fn submit_one(service: &Service, bytes: Vec<u8>) -> Answer {
    let answered = execute(service, vec![bytes]).await?.pop();
    let answered = answered.ok_or_else(|| Problem::unavailable("there was no answer"))?;
    let location = answered.id.map(|id| format!("/api/v1/transactions/{id}"));
    match verdict(answered) {
        Verdict::Refused { problem } => Err(problem),
        Verdict::Taken(taken) => {
            let mut response = (StatusCode::CREATED, Json(taken)).into_response();
            if let Some(value) = location.and_then(|location| HeaderValue::try_from(location).ok()) {
                response.headers_mut().insert(header::LOCATION, value);
            }
            Ok(response)
        }
    }
}

async fn submit_all(service: &Service, all: &[String]) -> Answer {
    if !(1..=MAX_BATCH).contains(&all.len()) {
        let count = all.len();
        return Err(Problem::malformed(format!("transactions: {count} of them, from 1 to {MAX_BATCH} are taken")));
    }
    // Those that are no hex digits have their verdict already.
    let read: Vec<_> = (0..).zip(all).map(|(index, text): (usize, _)| bytes_of(index, text)).collect();
    let mut good = Vec::with_capacity(read.len());
    let read: Vec<_> = read.into_iter().map(|result| result.map(|bytes| good.push(bytes))).collect();
    let mut answered = execute(service, good).await?.into_iter();
    let results = read.into_iter().map(|result| match result {
        Ok(()) => answered
            .next()
            .map_or_else(|| Verdict::Refused { problem: Problem::unavailable("there was no answer") }, verdict),
        Err(problem) => Verdict::Refused { problem },
    });
    Ok(Json(Results { results: results.collect() }).into_response())
}

fn bytes_of(index: usize, text: &str) -> Result<Vec<u8>, Problem> {
    extract::from_hex(format_args!("transactions[{index}]"), text)
}

/// One transaction, mined or in the pool
#[utoipa::path(get, path = "/api/v1/transactions/{id}", tag = "chain",
    params(("id" = view::json::Hash, Path, description = "Its id.")),
    responses((status = 200, description = "The transaction and its place.", body = view::json::PlacedTransaction)))]
async fn transaction(State(service): State<Service>, id: Segment, _: NoQuery) -> Answer {
    answer(&service, Command::Transaction { id: id.parse("a transaction id: 64 hex digits")? }).await
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Page {
    /// The first, as the page before named it in `next`; the oldest if left out. A reorganisation begins the count anew: then
    /// the next page may repeat transactions. One that replaced another has the place of that one.
    #[param(maximum = 9_007_199_254_740_991_u64)]
    from: Option<u64>,
    /// How many at most; 1,000 if left out.
    #[param(minimum = 1, maximum = 10000)]
    limit: Option<usize>,
}

/// Transactions that wait to be mined
#[utoipa::path(get, path = "/api/v1/pool", tag = "chain", params(Page),
    responses((status = 200, description = "A page, in an order in which each can be mined.", body = view::json::PoolPage)))]
async fn pool(State(service): State<Service>, Query(page): Query<Page>) -> Answer {
    let limit = extract::page(page.limit, DEFAULT_POOL_PAGE, MAX_POOL_PAGE)?;
    answer(&service, Command::PoolPage { from: extract::exact("from", page.from)?, limit }).await
}
