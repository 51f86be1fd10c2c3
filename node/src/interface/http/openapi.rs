//! The description of the API, as OpenAPI 3.1: what the routes say of themselves, and what holds for all of them.

use utoipa::{
    PartialSchema,
    openapi::{
        Components, ComponentsBuilder, Content, InfoBuilder, License, OpenApi, OpenApiBuilder, Ref, RefOr, Response,
        ResponseBuilder,
        path::{Operation, PathItem},
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
        tag::TagBuilder,
    },
};

use super::problem::Problem;

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
        ("docs", "This description"),
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
    let content = Content::new(Some(RefOr::<utoipa::openapi::schema::Schema>::Ref(Ref::from_schema_name(PROBLEM))));
    ResponseBuilder::new().description(when).content("application/problem+json", content).build()
}

/// Adds to each call what holds for all of its kind.
pub(super) fn complete(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        let of_one = path.contains('{');
        let PathItem { get, put, post, delete, .. } = item;
        for operation in get.iter_mut() {
            add(operation, ALWAYS);
            if of_one {
                add(operation, OF_ONE);
            }
        }
        for operation in [put, post, delete].into_iter().flatten() {
            add(operation, ALWAYS);
            add(operation, CHANGING);
            if of_one {
                add(operation, OF_ONE);
            }
            let token: SecurityRequirement = SecurityRequirement::new(TOKEN, Vec::<String>::new());
            operation.security = Some(vec![SecurityRequirement::default(), token]);
        }
    }
}

fn add(operation: &mut Operation, problems: &[(&str, &str, &str)]) {
    for (name, status, _) in problems {
        let response = RefOr::Ref(Ref::from_response_name(*name));
        operation.responses.responses.entry((*status).to_owned()).or_insert(response);
    }
}
