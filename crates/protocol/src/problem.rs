//! The one table of error codes that leave the system: HTTP status, retryable or not, title.

/// Where a problem comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The request never became an invocation.
    Ingress,
    /// The invocation ended so.
    Invocation,
}

macro_rules! codes {
    ($($name:ident $text:literal $status:literal $retryable:literal $source:ident $title:literal;)*) => {
        /// Code of a problem, stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $title] $name,)*
        }

        impl Code {
            /// All codes, for documentation and tests.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code as it appears in a problem document.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// HTTP status.
            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// May the same request succeed later, unchanged?
            pub fn retryable(self) -> bool {
                match self { $(Self::$name => $retryable,)* }
            }

            /// Where it comes from.
            pub fn source(self) -> Source {
                match self { $(Self::$name => Source::$source,)* }
            }

            /// One line for people.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

codes! {
    MalformedJson "malformed_json" 400 false Ingress "The body is not JSON";
    BadRequest "bad_request" 400 false Ingress "The request cannot be understood";
    UnknownService "unknown_service" 404 false Ingress "No such service";
    UnknownMethod "unknown_method" 404 false Ingress "The service has no such method";
    UnknownAddress "unknown_address" 404 false Ingress "Nothing is at this address";
    UnknownInvocation "unknown_invocation" 404 false Ingress "No such invocation, or its result is past its retention";
    UnknownState "unknown_state" 404 false Ingress "No such field or entry";
    MethodNotAllowed "method_not_allowed" 405 false Ingress "This address takes another HTTP method";
    BodyTooLarge "body_too_large" 413 false Ingress "The body is over the limit";
    BadArguments "bad_arguments" 422 false Ingress "The arguments do not fit the method";
    BadKey "bad_key" 422 false Ingress "The entity key does not have its declared type";
    KeyReused "key_reused" 422 false Ingress "The Idempotency-Key was used with other arguments";
    TooManyInvocations "too_many_invocations" 429 true Ingress "The limit of unfinished invocations is reached";
    Unavailable "unavailable" 503 true Ingress "The node cannot take calls now";
    DiskFull "disk_full" 507 true Ingress "The data directory's disk is full";
    UserException "exception" 500 false Invocation "The method raised an exception";
    NotStorable "not_storable" 500 false Invocation "A value cannot be stored";
    Parked "parked" 500 false Invocation "The invocation is parked until an operator acts";
    Cancelled "cancelled" 499 false Invocation "The invocation was cancelled";
    Internal "internal" 500 false Invocation "An error inside Sostenuto";
}
