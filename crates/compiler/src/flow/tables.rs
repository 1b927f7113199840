//! What functions and methods that are not the application's own do with what they are given.

/// What a known function does with its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// Reads them; the result refers to none of them.
    Clean,
    /// Reads them; the result is a new object that holds them or what they hold.
    Keeps,
    /// Reads them; the result may be one of them, or something in one.
    Within,
    /// Reads them; the result is a new collection of their elements.
    Elements,
    /// Reads them; the result is an iterator over them.
    Lazy,
    /// The result is an element.
    Element,
    /// May change them; the result may refer to them.
    Changes,
}

/// A function by its dotted path; `None` if it is not known.
pub(crate) fn function(path: &str) -> Option<Known> {
    if let Some(name) = path.strip_prefix("builtins.") {
        return builtin(name);
    }
    let (module, name) = path.rsplit_once('.').unwrap_or(("", path));
    match (module, name) {
        ("copy", "deepcopy") => Some(Known::Clean),
        ("copy", "copy") => Some(Known::Keeps),
        ("functools", "partial" | "reduce") | ("operator", _) => Some(Known::Within),
        ("dataclasses", "asdict" | "astuple" | "fields" | "is_dataclass") => Some(Known::Clean),
        ("dataclasses", "replace") => Some(Known::Keeps),
        ("itertools", _) => Some(Known::Keeps),
        ("collections", "Counter") => Some(Known::Clean),
        ("collections", _) => Some(Known::Elements),
        ("heapq", "nlargest" | "nsmallest") => Some(Known::Elements),
        ("bisect", "bisect" | "bisect_left" | "bisect_right") => Some(Known::Clean),
        ("random", "choice") => Some(Known::Element),
        ("random", "shuffle") => Some(Known::Changes),
        ("random", "sample" | "choices") => Some(Known::Elements),
        ("random" | "secrets", _) => Some(Known::Clean),
        _ if pure_module(path) => Some(Known::Clean),
        _ => None,
    }
}

fn builtin(name: &str) -> Option<Known> {
    Some(match name {
        "abs" | "all" | "any" | "ascii" | "bin" | "bool" | "bytes" | "bytearray" | "callable" | "chr" | "complex"
        | "divmod" | "float" | "format" | "hash" | "hex" | "id" | "int" | "isinstance" | "issubclass" | "len"
        | "oct" | "ord" | "pow" | "print" | "range" | "repr" | "round" | "str" | "sum" | "type" | "hasattr"
        | "object" => Known::Clean,
        "dict" | "frozenset" | "list" | "set" | "sorted" | "tuple" => Known::Elements,
        "max" | "min" | "next" => Known::Element,
        "enumerate" | "filter" | "iter" | "map" | "reversed" | "zip" => Known::Lazy,
        "getattr" => Known::Within,
        _ if name.starts_with("__sos__.") => Known::Clean,
        _ if name.ends_with("Error") || name.ends_with("Exception") || name == "StopIteration" => Known::Keeps,
        _ => return None,
    })
}

/// Modules whose functions neither change their arguments nor keep them.
fn pure_module(path: &str) -> bool {
    const MODULES: [&str; 25] = [
        "math",
        "cmath",
        "re",
        "json",
        "hashlib",
        "hmac",
        "base64",
        "binascii",
        "zlib",
        "struct",
        "string",
        "textwrap",
        "html",
        "urllib.parse",
        "datetime",
        "decimal",
        "fractions",
        "statistics",
        "uuid",
        "time",
        "logging",
        "warnings",
        "unicodedata",
        "jwt",
        "calendar",
    ];
    MODULES.iter().any(|m| path.strip_prefix(m).is_some_and(|rest| rest.starts_with('.')))
}

/// What a method does with the object that it is called on, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// Reads it; the result refers to nothing.
    Reads,
    /// Reads it; the result may refer to what it holds.
    Gives,
    /// The result is an element or the default.
    Get,
    Keys,
    Values,
    Items,
    /// Changes it; the arguments become part of it.
    Changes,
    /// Changes it, and gives what it has taken out.
    Takes,
    /// Changes it, and gives what is in it.
    SetDefault,
    Unknown,
}

/// True for a method that changes its object, whatever its type is.
pub(crate) fn changes(name: &str) -> bool {
    matches!(method(name), Method::Changes | Method::Takes | Method::SetDefault)
}

/// True for a method of a dict whose first argument is a key.
pub(crate) fn takes_key(name: &str) -> bool {
    matches!(method(name), Method::Get | Method::SetDefault) || name == "pop"
}

/// A method of a built-in type by its name.
pub(crate) fn method(name: &str) -> Method {
    match name {
        "get" => Method::Get,
        "keys" => Method::Keys,
        "values" => Method::Values,
        "items" => Method::Items,
        "copy"
        | "union"
        | "intersection"
        | "difference"
        | "symmetric_difference"
        | "most_common"
        | "elements"
        | "group"
        | "groups" => Method::Gives,
        "append"
        | "appendleft"
        | "extend"
        | "extendleft"
        | "insert"
        | "add"
        | "update"
        | "remove"
        | "discard"
        | "clear"
        | "sort"
        | "reverse"
        | "rotate"
        | "difference_update"
        | "intersection_update"
        | "symmetric_difference_update"
        | "subtract"
        | "move_to_end" => Method::Changes,
        "pop" | "popitem" | "popleft" => Method::Takes,
        "setdefault" => Method::SetDefault,
        _ if READS.contains(&name) => Method::Reads,
        _ => Method::Unknown,
    }
}

const READS: [&str; 84] = [
    "index",
    "count",
    "isdisjoint",
    "issubset",
    "issuperset",
    "bit_length",
    "bit_count",
    "to_bytes",
    "as_integer_ratio",
    "is_integer",
    "hex",
    "conjugate",
    "upper",
    "lower",
    "strip",
    "lstrip",
    "rstrip",
    "split",
    "rsplit",
    "splitlines",
    "join",
    "format",
    "format_map",
    "replace",
    "find",
    "rfind",
    "rindex",
    "startswith",
    "endswith",
    "encode",
    "decode",
    "isalpha",
    "isdigit",
    "isalnum",
    "isnumeric",
    "isdecimal",
    "isspace",
    "isupper",
    "islower",
    "istitle",
    "isidentifier",
    "isprintable",
    "title",
    "capitalize",
    "casefold",
    "swapcase",
    "center",
    "ljust",
    "rjust",
    "zfill",
    "partition",
    "rpartition",
    "removeprefix",
    "removesuffix",
    "translate",
    "expandtabs",
    "isoformat",
    "strftime",
    "date",
    "time",
    "timestamp",
    "timetuple",
    "astimezone",
    "weekday",
    "isoweekday",
    "isocalendar",
    "toordinal",
    "total_seconds",
    "utcoffset",
    "tzname",
    "quantize",
    "normalize",
    "as_tuple",
    "is_zero",
    "is_nan",
    "is_finite",
    "sqrt",
    "to_integral_value",
    "hexdigest",
    "digest",
    "match",
    "search",
    "fullmatch",
    "ctime",
];
