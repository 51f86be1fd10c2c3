//! The description of the API, as OpenAPI 3.1: what the routes say of themselves, and what holds for all of them.

mod links;

use utoipa::{
    PartialSchema,
    openapi::{
        Components, ComponentsBuilder, Content, HeaderBuilder, InfoBuilder, License, OpenApi, OpenApiBuilder, Ref,
        RefOr, Required, Response, ResponseBuilder,
        path::{Operation, PathItem},
        request_body::RequestBody,
        schema::{Schema, SchemaType, Type},
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
        tag::TagBuilder,
    },
};

use super::problem::Problem;

/// The tag of the calls of the programs that BlockBard replaces.
const REPLACED: &str = "replaced";
/// How these tell a refusal, in the document.
const OLD_REFUSAL: &str = "OldRefusal";
/// Calls that change something although they are asked by `GET`.
const CHANGING_BY_GET: &[&str] = &["/mine", "/nodes/resolve"];
/// Calls whose body may be left out.
const WITHOUT_BODY: &[&str] = &["/mine", "/consensus", "/api/v1/sync", "/api/v1/verify"];
/// Calls that lead a browser that sent a form back to the page.
const TO_PAGE: &[&str] =
    &["/mine", "/consensus", "/nodes/register", "/register_node", "/transactions/new", "/add_transaction"];

/// The name of the token's scheme in the document.
const TOKEN: &str = "token";
/// The name of the schema of a problem in the document.
const PROBLEM: &str = "Problem";

/// Problems that any call may answer with: name, status, and when.
const ALWAYS: &[(&str, &str, &str)] = &[
    ("Malformed", "400", "The request is malformed: `detail` names the field."),
    ("Forbidden", "403", "The host is not this node, another page asks, the token is wrong, or the keys are locked."),
    ("TooManyRequests", "429", "This address asks too often."),
    ("HeadTooLarge", "431", "The head has more than 16 KiB or 100 lines. Such an answer has no body."),
    ("Unavailable", "503", "Not possible now: a queue is full, a peer does not answer, the node stops."),
];

/// Problems of calls that change something.
const CHANGING: &[(&str, &str, &str)] = &[
    ("Unauthorized", "401", "The token is missing."),
    ("TooSlow", "408", "The body did not arrive within 10 s."),
    ("Conflict", "409", "It contradicts the state of the chain or the pool."),
    ("TooLarge", "413", "The body is too large."),
    ("MediaType", "415", "The content type does not fit."),
    ("Invalid", "422", "Well-formed, but it breaks a rule."),
];

/// Problems of calls for one thing.
const OF_ONE: &[(&str, &str, &str)] = &[("NotFound", "404", "There is no such thing.")];

/// What the document says before any call.
pub(super) fn head() -> OpenApi {
    let info = InfoBuilder::new()
        .title("BlockBard")
        .version(env!("CARGO_PKG_VERSION"))
        .license(Some(License::new("MIT")))
        .description(Some(
            "A node of a BlockBard chain. Amounts are integers of the smallest unit, below 2^53. Where an address is \
             expected, a name of the node's keystore serves too. Pages carry `next`: what to give for the next page.",
        ))
        .build();
    let tags = [
        ("node", "The node, its peers, its miner"),
        ("chain", "Blocks, transactions, accounts, items, records"),
        ("wallet", "What the node signs with its own keys"),
        (REPLACED, "The calls of the programs that BlockBard replaces, on the paths they had"),
        ("docs", "This description, and the page of the node"),
    ];
    let tag = |(name, description): (&str, &str)| TagBuilder::new().name(name).description(Some(description)).build();
    OpenApiBuilder::new().info(info).tags(Some(tags.map(tag))).components(Some(components())).build()
}

fn components() -> Components {
    let description = "Needed by calls that change something, where the node has a token.";
    let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(description)).build();
    let all = [ALWAYS, CHANGING, OF_ONE].concat();
    let problems = all.into_iter().map(|(name, _, when)| (name, problem(when)));
    let components =
        ComponentsBuilder::new().security_scheme(TOKEN, SecurityScheme::Http(token)).schema(PROBLEM, Problem::schema());
    problems.fold(components, |components, (name, response)| components.response(name, response)).build()
}

fn problem(when: &str) -> Response {
    ResponseBuilder::new().description(when).content("application/problem+json", of(PROBLEM)).build()
}

/// Adds to each call what holds for all of its kind.
pub(super) fn complete(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        let PathItem { get, put, post, delete, .. } = item;
        for operation in get.iter_mut() {
            of_all(path, operation, CHANGING_BY_GET.contains(&path.as_str()));
        }
        for operation in [put, post, delete].into_iter().flatten() {
            of_all(path, operation, true);
        }
    }
    let schemas = document.components.iter_mut().flat_map(|components| components.schemas.get_mut("Submission"));
    schemas.for_each(fields_not_null);
    links::add(document);
}

/// Each field of this schema is there or not; it is never null.
fn fields_not_null(schema: &mut RefOr<Schema>) {
    let RefOr::T(Schema::Object(object)) = schema else { return };
    for field in object.properties.values_mut() {
        let kind = match field {
            RefOr::T(Schema::Object(field)) => &mut field.schema_type,
            RefOr::T(Schema::Array(field)) => &mut field.schema_type,
            _ => continue,
        };
        if let SchemaType::Array(kinds) = kind
            && let Some(one) = kinds.iter().find(|one| **one != Type::Null)
        {
            *kind = SchemaType::Type(one.clone());
        }
    }
}

fn of_all(path: &str, operation: &mut Operation, changing: bool) {
    if changing {
        let token: SecurityRequirement = SecurityRequirement::new(TOKEN, Vec::<String>::new());
        operation.security = Some(vec![SecurityRequirement::default(), token]);
    }
    if let Some(body) = &mut operation.request_body
        && let RefOr::T(body) = body
    {
        body.required = Some(if WITHOUT_BODY.contains(&path) { Required::False } else { Required::True });
        not_null(body);
    }
    if operation.tags.iter().flatten().any(|tag| tag == REPLACED) {
        of_replaced(path, operation, changing);
        return;
    }
    add(operation, ALWAYS);
    if changing {
        add(operation, CHANGING);
    }
    // Of one thing, or of a height that the chain may not reach.
    let mut parameters = operation.parameters.iter().flatten();
    let at_height = parameters.any(|parameter| matches!(parameter, RefOr::T(one) if one.name == "height"));
    if path.contains('{') || at_height {
        add(operation, OF_ONE);
    }
}

/// A body that may be left out is there or not; it is never null.
fn not_null(body: &mut RequestBody) {
    for content in body.content.values_mut() {
        if let RefOr::T(content) = content
            && let Some(RefOr::T(Schema::OneOf(either))) = &content.schema
            && let Some(one) = either.items.iter().find(|one| matches!(one, RefOr::Ref(_)))
        {
            content.schema = Some(one.clone());
        }
    }
}

fn add(operation: &mut Operation, problems: &[(&str, &str, &str)]) {
    for (name, status, _) in problems {
        let response = RefOr::Ref(Ref::from_response_name(*name));
        operation.responses.responses.entry((*status).to_owned()).or_insert(response);
    }
}

/// The replaced programs' calls tell a refusal as those did; what stands before all calls tells it as everywhere.
fn of_replaced(path: &str, operation: &mut Operation, changing: bool) {
    let has_body = operation.request_body.is_some();
    let both =
        [("400", "The request is malformed, or what it asks for is not possible."), ("503", "Not possible now.")];
    let of_bodies = [
        ("408", "The body did not arrive within 10 s."),
        ("413", "The body is too large."),
        ("415", "Neither JSON nor a form."),
    ];
    let responses = &mut operation.responses.responses;
    for (status, when) in both.into_iter().chain(of_bodies.into_iter().filter(|_| has_body)) {
        let refusal =
            || RefOr::T(ResponseBuilder::new().description(when).content("application/json", of(OLD_REFUSAL)).build());
        let response = responses.entry(status.to_owned()).or_insert_with(refusal);
        if status == "400"
            && let RefOr::T(response) = response
        {
            response.content.insert("application/problem+json".to_owned(), RefOr::T(of(PROBLEM)));
        }
    }
    if has_body && TO_PAGE.contains(&path) {
        let when = "A form of a browser: back to the page.";
        let to = HeaderBuilder::new().description(Some("The page.")).build();
        let response = ResponseBuilder::new().description(when).header("location", to).build();
        responses.insert("302".to_owned(), RefOr::T(response));
    }
    let guarded = |status: &str| ["403", "429", "431"].contains(&status) || (changing && status == "401");
    let all = [ALWAYS, CHANGING].concat();
    let guards: Vec<_> = all.into_iter().filter(|(_, status, _)| guarded(status)).collect();
    add(operation, &guards);
}

fn of(schema: &str) -> Content {
    Content::new(Some(RefOr::<Schema>::Ref(Ref::from_schema_name(schema))))
}
