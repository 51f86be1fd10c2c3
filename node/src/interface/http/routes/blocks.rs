//! Blocks: of the active chain and of others, read and submitted.

use axum::{
    Extension,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bard_chain::units::Height;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Answer, DEFAULT_PAGE, MAX_PAGE, answer, json};
use crate::{
    application::{BlockChoice, Command, Reply, Service},
    interface::{
        http::{
            answers::Answers,
            conditional::{Keep, tagged},
            extract::{self, CBOR, NoQuery, Payload, Query, Segment},
            problem::Problem,
            room::Kept,
        },
        view::{self, json::HexBlock},
    },
};

/// How far below the tip other branches are looked for, unless told otherwise; and at most.
const DEFAULT_DEPTH: u64 = 100;
const MAX_DEPTH: u64 = 1_000;
/// Blocks beside the active chain in one answer.
const MAX_BESIDE: usize = 1_000;

pub(super) fn router() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(blocks, submit_block))
        .merge(OpenApiRouter::new().routes(routes!(block)).layer(Extension(Answers::default())))
        .routes(routes!(block_header))
        .routes(routes!(raw_block))
        .routes(routes!(forks))
}

/// Which way a page goes.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Order {
    /// By ascending height.
    #[default]
    Asc,
    /// By descending height.
    Desc,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Page {
    /// Height of the first block; if left out, 0 for ascending order and the tip for descending.
    #[param(maximum = 9_007_199_254_740_991_u64)]
    from: Option<u64>,
    /// How many at most; 20 if left out. A page of very large blocks may have fewer.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
    /// Ascending if left out.
    #[serde(default)]
    #[param(inline)]
    order: Order,
}

/// Blocks of the active chain
#[utoipa::path(get, path = "/api/v1/blocks", tag = "chain", params(Page),
    responses((status = 200, description = "A page.", body = view::json::BlockPage)))]
async fn blocks(State(service): State<Service>, Query(page): Query<Page>) -> Answer {
    let limit = extract::page(page.limit, DEFAULT_PAGE, MAX_PAGE)?;
    let from = extract::exact("from", page.from)?.map(Height::new);
    let command = match page.order {
        Order::Asc => Command::Blocks { from: Some(from.unwrap_or(Height::ZERO)), limit },
        Order::Desc => Command::BlocksDown { from, limit },
    };
    answer(&service, command).await
}

/// Submit a block that was sealed elsewhere
///
/// It is checked, stored and told to the other nodes.
#[utoipa::path(post, path = "/api/v1/blocks", tag = "chain",
    request_body(content((HexBlock = "application/json"), (view::json::Cbor = "application/cbor"))),
    responses((status = 201, description = "It is stored.", body = view::json::BlockTaken)))]
async fn submit_block(State(service): State<Service>, request: Request) -> Answer {
    let bytes = match extract::payload(request, service.max_block_len()).await? {
        Payload::Cbor(bytes) => bytes.into(),
        Payload::Json(bytes) => extract::from_hex("hex", &extract::from_json::<HexBlock>(&bytes)?.hex)?,
    };
    let accepted = service.execute(Command::SubmitBlock { bytes }).await?;
    Ok(json(&service, StatusCode::CREATED, &accepted))
}

/// What was named by its hash can be kept for ever.
fn keep(choice: BlockChoice) -> Keep {
    if matches!(choice, BlockChoice::Id(_)) { Keep::ForEver } else { Keep::WhileSame }
}

/// One block with its transactions
///
/// By its hash also where it is on another branch. The tag tells whether it is on the active chain, too.
#[utoipa::path(get, path = "/api/v1/blocks/{id}", tag = "chain",
    params(("id" = String, Path, description = "Height, hash, or `tip`.",
        pattern = "^([0-9]{1,19}|[0-9a-f]{64}|tip)$"),
        ("if-none-match" = Option<String>, Header, description = "Tags of what is there already.")),
    responses((status = 200, description = "The block.", body = view::json::Block,
        headers(("etag" = String, description = "Its tag."))), (status = 304, description = "It is there already.")))]
async fn block(
    State(service): State<Service>,
    Extension(answers): Extension<Answers>,
    id: Segment,
    _: NoQuery,
    headers: HeaderMap,
) -> Answer {
    let reply = service.execute(Command::Block { block: id.block()? }).await?;
    let Reply::Block(block) = &reply else { return Err(unexpected()) };
    let tag = format!("{}{}", block.block.id(), if block.active { "" } else { "-side" });
    let text = || {
        let make = || serde_json::to_vec(&view::json::reply(&reply, service.wallet()));
        match answers.text(block.block.id(), block.active, make) {
            Ok(text) => {
                let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
                (kind, Extension(Kept), text).into_response()
            }
            Err(error) => Problem::unavailable(error.to_string()).into_response(),
        }
    };
    // Whether it is on the active chain may change.
    Ok(tagged(&headers, &tag, Keep::WhileSame, text))
}

/// The header of a block
#[utoipa::path(get, path = "/api/v1/blocks/{id}/header", tag = "chain",
    params(("id" = String, Path, description = "Height, hash, or `tip`.",
        pattern = "^([0-9]{1,19}|[0-9a-f]{64}|tip)$"),
        ("if-none-match" = Option<String>, Header, description = "Tags of what is there already.")),
    responses((status = 200, description = "The header.", body = view::json::Header,
        headers(("etag" = String, description = "Its tag."))), (status = 304, description = "It is there already.")))]
async fn block_header(State(service): State<Service>, id: Segment, _: NoQuery, headers: HeaderMap) -> Answer {
    let choice = id.block()?;
    let reply = service.execute(Command::Header { block: choice }).await?;
    let Reply::Header(header) = &reply else { return Err(unexpected()) };
    let tag = header.id.to_string();
    Ok(tagged(&headers, &tag, keep(choice), || json(&service, StatusCode::OK, &reply)))
}

/// The canonical bytes of a block
#[utoipa::path(get, path = "/api/v1/blocks/{id}/raw", tag = "chain",
    params(("id" = String, Path, description = "Height, hash, or `tip`.",
        pattern = "^([0-9]{1,19}|[0-9a-f]{64}|tip)$"),
        ("if-none-match" = Option<String>, Header, description = "Tags of what is there already.")),
    responses((status = 200, description = "The bytes: CBOR.", body = view::json::Cbor, content_type = "application/cbor",
        headers(("etag" = String, description = "Its tag."))), (status = 304, description = "It is there already.")))]
async fn raw_block(State(service): State<Service>, id: Segment, _: NoQuery, headers: HeaderMap) -> Answer {
    let choice = id.block()?;
    let Reply::RawBlock { id, bytes } = service.execute(Command::RawBlock { block: choice }).await? else {
        return Err(unexpected());
    };
    Ok(tagged(&headers, &id.to_string(), keep(choice), || cbor(bytes.to_vec())))
}

fn cbor(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(CBOR))], bytes).into_response()
}

fn unexpected() -> Problem {
    Problem::unavailable("the node answered something else")
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Depth {
    /// How many heights below the tip; 100 if left out.
    #[param(minimum = 1, maximum = 1000)]
    depth: Option<u64>,
}

/// The known blocks near the tip, those of other branches included
#[utoipa::path(get, path = "/api/v1/forks", tag = "chain", params(Depth),
    responses((status = 200, description = "The blocks.", body = view::json::Forks)))]
async fn forks(State(service): State<Service>, Query(Depth { depth }): Query<Depth>) -> Answer {
    let depth = depth.unwrap_or(DEFAULT_DEPTH);
    if !(1..=MAX_DEPTH).contains(&depth) {
        return Err(Problem::malformed(format!("the query: depth: {depth} is not in 1 to {MAX_DEPTH}")));
    }
    answer(&service, Command::Forks { depth, limit: MAX_BESIDE }).await
}
