//! Answers that a client may have already: tags, and 304 where nothing has changed.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

/// For how long an answer may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// For ever: it is named by the hash of what it is.
    ForEver,
    /// For as long as asking again gives the same tag.
    WhileSame,
}

impl Keep {
    const fn cache_control(self) -> &'static str {
        match self {
            Self::ForEver => "public, max-age=31536000, immutable",
            Self::WhileSame => "no-cache",
        }
    }
}

/// What the tag of a compressed answer ends with: the bytes differ, and so must the tag.
const COMPRESSED: &str = "-gzip";

/// The answer with its tag, or 304 where the client has it already. `tag` is visible ASCII without quotation marks.
pub(super) fn tagged(headers: &HeaderMap, tag: &str, keep: Keep, make: impl FnOnce() -> Response) -> Response {
    let mut response = if has_already(headers, tag) { StatusCode::NOT_MODIFIED.into_response() } else { make() };
    if let Ok(value) = HeaderValue::try_from(format!("\"{tag}\"")) {
        response.headers_mut().insert(header::ETAG, value);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(keep.cache_control()));
    response
}

fn has_already(headers: &HeaderMap, tag: &str) -> bool {
    let all = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(',')).map(str::trim).any(|one| {
        let bare = one.strip_prefix("W/").unwrap_or(one).trim_matches('"');
        one == "*" || bare.strip_suffix(COMPRESSED).unwrap_or(bare) == tag
    })
}

/// Gives a compressed answer a tag of its own.
pub(super) fn tag_of_compressed<B>(mut response: Response<B>) -> Response<B> {
    if response.headers().contains_key(header::CONTENT_ENCODING)
        && let Some(tag) = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok())
        && let Some(bare) = tag.strip_suffix('"')
        && let Ok(value) = HeaderValue::try_from(format!("{bare}{COMPRESSED}\""))
    {
        response.headers_mut().insert(header::ETAG, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_has_already() {
        let status = |given: &'static str| {
            let headers = [(header::IF_NONE_MATCH, HeaderValue::from_static(given))].into_iter().collect();
            tagged(&headers, "abc", Keep::ForEver, || StatusCode::OK.into_response()).status()
        };
        for same in ["\"abc\"", "W/\"abc\"", "*", "\"x\", \"abc\"", "\"abc-gzip\""] {
            assert_eq!(status(same), StatusCode::NOT_MODIFIED, "{same}");
        }
        for other in ["", "\"abd\"", "\"abc-side\"", "\"\""] {
            assert_eq!(status(other), StatusCode::OK, "{other}");
        }
    }

    #[tokio::test]
    async fn a_compressed_answer_has_another_tag() {
        let mut response = tagged(&HeaderMap::new(), "abc", Keep::WhileSame, || StatusCode::OK.into_response());
        response = tag_of_compressed(response);
        assert_eq!(response.headers()[header::ETAG], "\"abc\"");
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert_eq!(tag_of_compressed(response).headers()[header::ETAG], "\"abc-gzip\"");
    }
}
