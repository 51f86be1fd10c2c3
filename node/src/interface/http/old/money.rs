//! Paying and balances.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
};
use bard_chain::units::Amount;
use serde_json::Value;

use super::{
    answer::{Answer, Refusal, done},
    body::Asked,
    shown::{OldBalance, OldPaid, OldRefusal, OldWallets},
};
use crate::{
    application::{Command, Reply, Service},
    interface::view::{replaced, replaced_json::OldPayment},
};

/// What the prototype says of a payment that cannot be made, whatever the reason.
const INVALID: &str = "Invalid transaction or insufficient balance";
/// The receiver of a payment, by the names that the old programs had for it.
const RECEIVER: &[&str] = &["recipient", "receiver"];

/// Pay, as the prototype did
#[utoipa::path(post, path = "/transactions/new", operation_id = "old_transactions_new", tag = "replaced",
    request_body(content((OldPayment = "application/json"), (OldPayment = "application/x-www-form-urlencoded"))),
    responses((status = 201, description = "The payment is in the pool.", body = OldPaid),
        (status = 400, description = "It cannot be made; a text where a field is missing.",
            content((OldRefusal = "application/json"), (String = "text/plain")))))]
pub(super) async fn new_transaction(State(service): State<Service>, asked: Asked) -> Answer {
    // An amount of null is there, but it is no number.
    let complete = asked.given("sender").is_some()
        && asked.given_as(RECEIVER).is_some()
        && asked.fields.get("amount").is_some_and(|amount| amount.as_str() != Some(""));
    if !complete {
        return Err(Refusal::text("Missing values"));
    }
    let transaction = pay(&service, &asked).await?;
    let body = OldPaid { message: "Transaction will be added to next block", transaction };
    Ok(done(&asked, StatusCode::CREATED, body))
}

/// Pay, as the simulation did
#[utoipa::path(post, path = "/add_transaction", operation_id = "old_add_transaction", tag = "replaced",
    request_body(content((OldPayment = "application/json"), (OldPayment = "application/x-www-form-urlencoded"))),
    responses((status = 201, description = "The payment is in the pool.", body = OldPaid)))]
pub(super) async fn add_transaction(State(service): State<Service>, asked: Asked) -> Answer {
    let fields: [(&str, &[&str]); 3] = [("sender", &["sender"]), ("receiver", RECEIVER), ("amount", &["amount"])];
    let missing: Vec<&str> =
        fields.iter().filter(|(_, names)| asked.given_as(names).is_none()).map(|(name, _)| *name).collect();
    if !missing.is_empty() {
        return Err(Refusal::error("Missing values", format!("missing: {}", missing.join(", "))));
    }
    let transaction = pay(&service, &asked).await?;
    let body = OldPaid { message: "Transaction will be added to the next block", transaction };
    Ok(done(&asked, StatusCode::CREATED, body))
}

async fn pay(service: &Service, asked: &Asked) -> Result<Value, Refusal> {
    let name = |field: &str, value: Option<&Value>| {
        let text = value.and_then(Value::as_str).map(str::trim).map(str::to_owned);
        text.ok_or_else(|| Refusal::message(INVALID, format!("{field}: a name or an address is expected")))
    };
    for field in RECEIVER {
        asked.given(field).map(|value| name(field, Some(value))).transpose()?;
    }
    let sender = name("sender", asked.given("sender"))?;
    let receiver = name("recipient", asked.given_as(RECEIVER))?;
    let amount = amount(asked.fields.get("amount").unwrap_or(&Value::Null))?;
    let refused = |failure| Refusal::titled(failure, "message", INVALID);
    let from = service.account_for_use(&sender).await.map_err(refused)?;
    let to = service.account_for_use(&receiver).await.map_err(refused)?;
    if service.wallet().address(&from) == service.wallet().address(&to) {
        let what = format!("{sender} and {receiver} are the same account");
        return Err(Refusal::message(INVALID, what));
    }
    let command = Command::Send { from: Some(from), to, amount, fee: Amount::ZERO };
    match service.execute(command).await.map_err(refused)? {
        Reply::Admitted(all) => {
            let shown = all.first().map(|one| replaced::transaction(one.id(), one.transaction(), service.wallet()));
            Ok(shown.unwrap_or(Value::Null))
        }
        _ => Ok(Value::Null),
    }
}

/// An amount: a whole number of the smallest unit, or a text that is one.
fn amount(value: &Value) -> Result<Amount, Refusal> {
    let invalid = |what: &str| Refusal::message("Invalid amount", format!("amount: {what}"));
    let not_whole = || invalid("a whole number of the smallest unit is expected");
    let exact = match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => return Err(not_whole()),
    };
    if let Some(amount @ 1..) = exact {
        return Ok(Amount::new(amount));
    }
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let number: f64 = number.filter(|number| number.is_finite()).ok_or_else(not_whole)?;
    if number <= 0.0 {
        return Err(Refusal::message(INVALID, "amount: it must be more than 0"));
    }
    #[allow(clippy::cast_precision_loss, reason = "2^53 - 1 is exact")]
    let most = Amount::MAX.get() as f64;
    if number.fract() != 0.0 || number > most {
        return Err(not_whole());
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number from 1 to 2^53")]
    let whole = number as u64;
    Ok(Amount::new(whole))
}

/// What an account has
#[utoipa::path(get, path = "/balance/{address}", operation_id = "old_balance", tag = "replaced",
    params(("address" = String, Path, description = "A name or an address.")),
    responses((status = 200, description = "The balance.", body = OldBalance)))]
pub(super) async fn balance(
    State(service): State<Service>,
    address: Result<Path<String>, PathRejection>,
) -> Result<Json<OldBalance>, Refusal> {
    let Path(name) = address.map_err(|error| Refusal::error("Invalid address", error.body_text()))?;
    let found = service.balance_of(&name).map_err(|failure| Refusal::titled(failure, "error", "Invalid address"))?;
    let (balance, pending) = found.map_or((0, 0), |found| (found.confirmed.balance.get(), found.pending.balance.get()));
    Ok(Json(OldBalance { address: name, balance, pending }))
}

/// What the names of this node have
#[utoipa::path(get, path = "/wallets", operation_id = "old_wallets", tag = "replaced",
    responses((status = 200, description = "The names with their balances.", body = OldWallets)))]
pub(super) async fn wallets(State(service): State<Service>) -> Result<Json<OldWallets>, Refusal> {
    let mut wallets = BTreeMap::new();
    if let Reply::Wallets(all) = service.execute(Command::Wallets).await? {
        for one in all {
            wallets.insert(one.name.unwrap_or_else(|| one.address.to_string()), one.confirmed.balance.get());
        }
    }
    for (name, balance) in service.old_balances()? {
        wallets.insert(name.to_owned(), balance.confirmed.balance.get());
    }
    Ok(Json(OldWallets { wallets }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn amounts() {
        for (value, expected) in [
            (json!(50), 50),
            (json!(50.0), 50),
            (json!("50"), 50),
            (json!(" 50.0 "), 50),
            (json!("5e1"), 50),
            (json!(9_007_199_254_740_991_u64), 9_007_199_254_740_991),
        ] {
            assert_eq!(amount(&value).ok(), Some(Amount::new(expected)), "{value}");
        }
        for bad in [
            json!(null),
            json!(true),
            json!([50]),
            json!({}),
            json!(""),
            json!("many"),
            json!("NaN"),
            json!("inf"),
            json!("-inf"),
            json!(0),
            json!("0"),
            json!(-5),
            json!("-5"),
            json!(0.5),
            json!("0.5"),
            json!(1e300),
        ] {
            assert!(amount(&bad).is_err(), "{bad}");
        }
    }
}
