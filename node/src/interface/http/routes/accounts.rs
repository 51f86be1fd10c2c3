//! Accounts and what happened to them.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Answer, DEFAULT_PAGE, MAX_PAGE, answer};
use crate::{
    application::{Command, Service},
    interface::{
        http::extract::{self, Query, Segment},
        view,
    },
};

pub(super) fn router() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(accounts)).routes(routes!(account)).routes(routes!(account_transactions))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Page {
    /// The address, or the name, after which to begin, as the page before named it in `next`; with the first if left out.
    #[param(pattern = "^(bard1[02-9ac-hj-np-z]{58}|[A-Za-z0-9_-]{1,32})$")]
    after: Option<String>,
    /// How many at most; 20 if left out.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
}

/// Accounts that are not empty
#[utoipa::path(get, path = "/api/v1/accounts", tag = "chain", params(Page),
    responses((status = 200, description = "A page, by address.", body = view::json::AccountPage)))]
async fn accounts(State(service): State<Service>, Query(page): Query<Page>) -> Answer {
    let limit = extract::page(page.limit, DEFAULT_PAGE, MAX_PAGE)?;
    answer(&service, Command::Accounts { after: page.after, limit }).await
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct At {
    /// As it was after the block of the active chain at this height; 404 where the chain does not reach so far. At the tip if
    /// left out.
    #[param(minimum = 0, maximum = 9007199254740991_u64)]
    height: Option<u64>,
}

/// One account, now or at an earlier height
///
/// An address that was never used is an empty account.
#[utoipa::path(get, path = "/api/v1/accounts/{account}", tag = "chain",
    params(("account" = String, Path, description = "An address, or a name of the node's keystore."), At),
    responses((status = 200, description = "The account.", body = view::json::Account)))]
async fn account(State(service): State<Service>, Segment(who): Segment, Query(at): Query<At>) -> Answer {
    answer(&service, Command::Balance { who: Some(who), height: extract::height(at.height)? }).await
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct History {
    /// The first, as the page before named it in `next`; the newest if left out.
    #[param(pattern = "^(0|[1-9][0-9]{0,15})-(0|[1-9][0-9]{0,8})$")]
    from: Option<String>,
    /// How many at most; 20 if left out.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
}

/// Transactions that an account sent or that were for it
#[utoipa::path(get, path = "/api/v1/accounts/{account}/transactions", tag = "chain",
    params(("account" = String, Path, description = "An address, or a name of the node's keystore."), History),
    responses((status = 200, description = "A page, the newest first.", body = view::json::TransactionPage)))]
async fn account_transactions(
    State(service): State<Service>,
    Segment(who): Segment,
    Query(page): Query<History>,
) -> Answer {
    let limit = extract::page(page.limit, DEFAULT_PAGE, MAX_PAGE)?;
    let from = extract::field("from", page.from.as_ref())?;
    answer(&service, Command::AccountTransactions { who, from, limit }).await
}
