//! The calls of the programs that BlockBard replaces, on the paths they had, with the status codes and fields that their
//! clients read. `docs/replaced-programs.md` has the table of them.
//!
//! | room | calls |
//! |---|---|
//! | `mine` | `POST /mine` of three programs, told apart by the body; `GET /mine` |
//! | `chain` | `GET /chain`, `/get_chain`, `/nodes/resolve`; `POST /consensus` |
//! | `blocks` | `POST /add_block` |
//! | `nodes` | `POST /update_peers`, `/discover`, `/nodes/register`, `/register_node`; `GET /nodes` |
//! | `money` | `POST /transactions/new`, `/add_transaction`; `GET /balance/ADDRESS`, `/wallets` |
//! | `health` | `GET /info`, `/validate`, `/verify` |
//! | [`body`], `answer`, `shown`, `stream`, `stopwatch` | what they share |

#![allow(unused_qualifications, reason = "written so by the macros that describe the calls")]

mod answer;
mod blocks;
pub(super) mod body;
mod chain;
mod health;
mod mine;
mod money;
mod nodes;
mod shown;
mod stopwatch;
mod stream;

use axum::{
    extract::Request,
    http::Method,
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::answer::Refusal;
use super::{Access, guard};
use crate::application::Service;

/// The calls. Those that change something by `GET`, as the old programs had them, are guarded as if they were a `POST`. Those
/// that take every core are not for pages of others.
pub(super) fn router(access: &Access) -> OpenApiRouter<Service> {
    let changing = OpenApiRouter::new()
        .routes(routes!(mine::by_get))
        .routes(routes!(chain::resolve))
        .route_layer(middleware::from_fn_with_state(access.clone(), guard::guard_change))
        .route_layer(middleware::from_fn(not_by_head));
    let costly = OpenApiRouter::new()
        .routes(routes!(health::validate))
        .routes(routes!(health::verify))
        .route_layer(middleware::from_fn(guard::guard_pages))
        .route_layer(middleware::from_fn(not_by_head));
    OpenApiRouter::new()
        .merge(changing)
        .merge(costly)
        .routes(routes!(mine::by_post))
        .routes(routes!(chain::chain))
        .routes(routes!(chain::get_chain))
        .routes(routes!(chain::consensus))
        .routes(routes!(blocks::add_block))
        .routes(routes!(nodes::update_peers))
        .routes(routes!(nodes::discover))
        .routes(routes!(nodes::list))
        .routes(routes!(nodes::register))
        .routes(routes!(nodes::register_node))
        .routes(routes!(money::new_transaction))
        .routes(routes!(money::add_transaction))
        .routes(routes!(money::balance))
        .routes(routes!(money::wallets))
        .routes(routes!(health::info))
}

/// Whoever asks by `HEAD` wants nothing done.
async fn not_by_head(request: Request, next: Next) -> Response {
    if request.method() == Method::HEAD {
        return Refusal::method().into_response();
    }
    next.run(request).await
}
