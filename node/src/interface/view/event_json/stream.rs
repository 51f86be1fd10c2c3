//! An event as the stream carries it, for the description of the API.

use std::borrow::Cow;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, OneOfBuilder, Ref, RefOr, schema::Schema, schema::Type},
};

use super::{
    BlockEvent, ErrorEvent, LabEvent, MiningEvent, NAMES, PeerEvent, ReorgEvent, ResetEvent, SyncEvent,
    TransactionEvent,
};

/// An event as the stream carries it, for the description: its fields by their names, the data as a text that is JSON.
#[derive(Clone, Copy, Debug)]
pub struct Streamed;

impl PartialSchema for Streamed {
    fn schema() -> RefOr<Schema> {
        let text = |about: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(about));
        let one = |(name, data): (&str, &str)| {
            let data = text("One line of JSON.")
                .content_media_type("application/json")
                .content_schema(Some(Ref::from_schema_name(data)));
            ObjectBuilder::new()
                .title(Some(name))
                .property("event", text("Its name.").enum_values(Some([name])))
                .property("data", data)
                .property("id", text("Where to go on from: `<run>-<number>`."))
                .required("event")
                .required("data")
        };
        let all = NAMES.into_iter().map(one).fold(OneOfBuilder::new(), OneOfBuilder::item);
        all.description(Some("An event of the stream.")).into()
    }
}

impl ToSchema for Streamed {
    fn name() -> Cow<'static, str> {
        "Event".into()
    }

    fn schemas(all: &mut Vec<(String, RefOr<Schema>)>) {
        fn add<T: ToSchema>(all: &mut Vec<(String, RefOr<Schema>)>) {
            all.push((T::name().into_owned(), T::schema()));
            T::schemas(all);
        }
        add::<BlockEvent>(all);
        add::<ReorgEvent>(all);
        add::<TransactionEvent>(all);
        add::<PeerEvent>(all);
        add::<MiningEvent>(all);
        add::<SyncEvent>(all);
        add::<LabEvent>(all);
        add::<ResetEvent>(all);
        add::<ErrorEvent>(all);
    }
}
