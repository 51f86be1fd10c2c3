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
//! | [`body`], `answer`, `stream`, `stopwatch` | what they share |

mod answer;
mod blocks;
pub(super) mod body;
mod chain;
mod health;
mod mine;
mod money;
mod nodes;
mod stopwatch;
mod stream;

use axum::{
    Router,
    extract::Request,
    http::Method,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};

use self::answer::Refusal;
use super::{Access, guard};
use crate::application::Service;

/// The calls. Those that change something by `GET`, as the old programs had them, are guarded as if they were a `POST`.
pub(super) fn router(access: &Access) -> Router<Service> {
    let changing = Router::new()
        .route("/mine", get(mine::by_get))
        .route("/nodes/resolve", get(chain::resolve))
        .route_layer(middleware::from_fn_with_state(access.clone(), guard::guard_change))
        .route_layer(middleware::from_fn(not_by_head));
    Router::new()
        .merge(changing)
        .route("/mine", post(mine::by_post))
        .route("/chain", get(chain::chain))
        .route("/get_chain", get(chain::get_chain))
        .route("/consensus", post(chain::consensus))
        .route("/add_block", post(blocks::add_block))
        .route("/update_peers", post(nodes::update_peers))
        .route("/discover", post(nodes::discover))
        .route("/nodes", get(nodes::list))
        .route("/nodes/register", post(nodes::register))
        .route("/register_node", post(nodes::register_node))
        .route("/transactions/new", post(money::new_transaction))
        .route("/add_transaction", post(money::add_transaction))
        .route("/balance/{address}", get(money::balance))
        .route("/wallets", get(money::wallets))
        .route("/info", get(health::info))
        .route("/validate", get(health::validate))
        .route("/verify", get(health::verify))
}

/// Whoever asks by `HEAD` wants nothing done.
async fn not_by_head(request: Request, next: Next) -> Response {
    if request.method() == Method::HEAD {
        return Refusal::method().into_response();
    }
    next.run(request).await
}
