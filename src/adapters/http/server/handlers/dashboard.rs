//! The dashboard's files, which are part of the program. Their sources are in `web/`.

use std::sync::LazyLock;

use warp::http::StatusCode;
use warp::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, HeaderValue, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

use crate::server::call::{Call, Shared};
use crate::server::rejection::Rejection;
use crate::server::reply::{Response, with_type};
use delta_domain::ids::Digest;

/// A page can do what its own script does with this node, and nothing else: no other site, no inline code, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

struct Asset {
    content: &'static [u8],
    content_type: &'static str,
    tag: String,
}

impl Asset {
    fn of(content: &'static [u8], content_type: &'static str) -> Self {
        Self {
            content,
            content_type,
            tag: format!("\"{}\"", Digest::of(content)),
        }
    }
}

static PAGE: LazyLock<Asset> = LazyLock::new(|| {
    let page = include_bytes!("../../../../../web/dist/index.html");
    Asset::of(page, "text/html; charset=utf-8")
});
static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    let script = include_bytes!("../../../../../web/dist/dashboard.js");
    Asset::of(script, "text/javascript; charset=utf-8")
});
static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    let style = include_bytes!("../../../../../web/dist/dashboard.css");
    Asset::of(style, "text/css; charset=utf-8")
});
static ICON: LazyLock<Asset> = LazyLock::new(|| {
    let icon = include_bytes!("../../../../../web/dist/icon.svg");
    Asset::of(icon, "image/svg+xml")
});

/// `GET /`
pub(crate) async fn page(_: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    Ok(answer(&PAGE, call))
}

/// `GET /dashboard.js`
pub(crate) async fn script(_: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    Ok(answer(&SCRIPT, call))
}

/// `GET /dashboard.css`
pub(crate) async fn style(_: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    Ok(answer(&STYLE, call))
}

/// `GET /icon.svg`
pub(crate) async fn icon(_: &Shared, call: &mut Call) -> Result<Response, Rejection> {
    Ok(answer(&ICON, call))
}

/// The file, or that the browser has it already: after an upgrade of the node it is asked for anew.
fn answer(asset: &'static Asset, call: &Call) -> Response {
    let known = call.headers.get_all(IF_NONE_MATCH).iter();
    let known = known.filter_map(|value| value.to_str().ok());
    let fresh = known
        .flat_map(|value| value.split(','))
        .any(|tag| tag.trim() == asset.tag);
    let mut response = match fresh {
        true => {
            let mut empty = Response::default();
            *empty.status_mut() = StatusCode::NOT_MODIFIED;
            empty
        }
        false => with_type(StatusCode::OK, asset.content_type, asset.content),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-cache"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(tag) = HeaderValue::from_str(&asset.tag) {
        headers.insert(ETAG, tag);
    }
    response
}
