"""What a request has beside path and JSON: headers, an image's bytes, the query of images, regular expressions.

Each name stands with values that its own parser does not expect; ``hostile_values.TEXTS`` go into every one as well.
"""

from collections.abc import Mapping, Sequence

HEADERS: Mapping[str, Sequence[str]] = {
    "OpenStack-API-Version": (
        "compute",
        "compute latest",
        "compute 2.1, compute 2.90",
        "volume 3.1",
        "compute 2." + "9" * 999,
    ),
    "X-OpenStack-Nova-API-Version": ("latest", "2", "2.1.1", "-2.1", "2.٣"),
    "Host": ("", "[", "[::1", "a:b:c", "evil.example", "127.0.0.1:99999", "127.0.0.1:", "user@127.0.0.1", "xn--0"),
    "Origin": ("null", "http://", "http://[", "http://127.0.0.1:x", "https://127.0.0.1:8774", "file:///", "a b"),
    "Sec-Fetch-Site": ("cross-site", "same-site", "same-origin", "none", "SAME-ORIGIN"),
    "Content-Length": ("-1", "+1", "1_0", "0x10", "1, 1", "18446744073709551616", "1" * 5000, "٣"),
    "Transfer-Encoding": ("chunked", "identity", "gzip, chunked", "chunked, chunked", "xchunked"),
    "Content-Encoding": ("gzip", "br", "identity"),
    "Content-Type": ("application/json; charset=utf-7", "application/json;" * 500, "multipart/form-data", "/", ";"),
    "Range": (
        "bytes=",
        "bytes=-",
        "bytes=5-1",
        "bytes=0-" + "9" * 30,
        "bytes=" + "0-," * 2500,
        "items=0-1",
        "bytes=-0",
    ),
    "If-Range": ('"', 'W/"x"', "Thu, 99 Foo 2026 25:61:61 GMT"),
    "If-Match": ("*", '"' * 4000, 'W/"x",' * 900),
    "If-None-Match": ("*", '"' * 4000, 'W/"x",' * 900),
    "If-Modified-Since": ("Thu, 99 Foo 2026 25:61:61 GMT", "0", "Thu, 01 Jan 99999 00:00:00 GMT"),
    "If-Unmodified-Since": ("Thu, 99 Foo 2026 25:61:61 GMT", "0"),
    "X-Forwarded-For": (
        "",
        ",",
        "1.2.3.4, " * 800,
        "::ffff:127.0.0.1",
        "[::1]:99999",
        "fe80::1%lo",
        "999.1.1.1",
        "unknown",
    ),
    "X-Forwarded-Host": ("", "[", "a,b", "evil.example:x", "a b", "//x"),
    "X-Forwarded-Proto": ("", "javascript", "https, http", "https:"),
    "X-Forwarded-Port": ("-1", "99999", "x"),
    "X-Forwarded-Prefix": ("/..", "//evil.example", "\\"),
    "Forwarded": ('for="[::1', "for=;;;", "host=evil.example;proto=x"),
    "Authorization": (
        "Basic",
        "Basic !",
        "Basic " + "A" * 7000,
        "Basic OjpAOg==",
        "Basic /////w==",
        "Bearer",
        "Bearer  ",
        "basic eDp5",
    ),
    "X-Auth-Token": ("", "admin", "admin:admin:admin", "gAAAA" + "x" * 5000),
    "Accept": ("*", "*/", "application/json;q=x", "text/html," * 700, ";q=", "application/vnd.oai.openapi"),
    "X-OpenStack-Request-ID": ("req-", "req-" + "x" * 5000, "req-\x1b[31m"),
}
DOWNLOADED = frozenset({"Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"})
UPLOADED = frozenset({"Content-Length", "Transfer-Encoding", "Content-Encoding"})

_QCOW2 = b"QFI\xfb\x00\x00\x00\x03"
UPLOADS: Sequence[bytes] = (
    b"",
    b"\x00",
    b"\x00" * 70_000,
    _QCOW2,
    _QCOW2 + b"\x00" * 600,
    _QCOW2 + b"\xff" * 600,
    _QCOW2 + (600).to_bytes(8) + (11).to_bytes(4) + (16).to_bytes(4) + b"\xff" * 8 + b"\x00" * 80 + b"/etc/passwd" * 90,
    b"QFI\xfb\x00\x00\x00\x02" + b"\x7f" * 700,
    b"KDMV" + b"\xff" * 2000,
    b"KDMV" + b"\x00" * 2000,
    b'# Disk DescriptorFile\nRW 1 FLAT "/etc/passwd" 0\n' * 50,
    b"vhdxfile" + b"\xff" * 3000,
    b"conectix" + b"\xff" * 504,
    b"\x00" * 1024 + b"conectix" + b"\xff" * 504,
    b"\x00" * 0x40 + b"\x7f\x10\xda\xbe" + b"\xff" * 600,
    b"\x00" * 0x8001 + b"CD001" + b"\x00" * 600,
    b"\x1f\x8b\x08" + b"\xff" * 100,
    b'{"name": "a"}',
)
UPLOAD_FORMATS = ("raw", "qcow2", "vmdk", "vdi", "vhd", "vhdx", "iso", "aki")

IMAGE_QUERY: Mapping[str, Sequence[str]] = {
    "id": ("in:", "in:,", 'in:"', "in:" + "a," * 4000),
    "name": ("in:", "in:a,b"),
    "status": ("in:active,queued", "active"),
    "visibility": ("all", "private", "community"),
    "owner": ("admin",),
    "disk_format": ("in:raw", "raw"),
    "container_format": ("in:bare", "bare"),
    "limit": ("-0", "+1", "1_0"),
    "marker": ("",),
    "next": ("/v2/images",),
    "size_min": ("-0", "1_0", "+1", "9" * 18, "9" * 19),
    "size_max": ("-0", "1_0", "9" * 18),
    "created_at": (
        "gt:",
        "gt:gt:2026-01-01T00:00:00Z",
        "lte:2026-01-01T00:00:00Z",
        "neq:0001-01-01T00:00:00+23:59",
        "no:1",
    ),
    "updated_at": ("eq:9999-12-31T23:59:59-23:59", ":", "lt:2026-02-30T00:00:00Z", "gte:2026-01-01"),
    "tag": ("a", ""),
    "sort": ("name", "name:asc,", ":", "name:asc:asc", "name," * 9000, "size:sideways"),
    "sort_key": ("name", "properties", ""),
    "sort_dir": ("asc", "ASC", ""),
    "member_status": ("all", "accepted", "ACCEPTED"),
    "os_hidden": ("true", "True", "1"),
    "protected": ("true", "TRUE"),
    "hw_disk_bus": ("virtio",),
}

# Costly when held against many names: by size, within the bound on sizes, by classes, in an engine that backtracks.
EXPRESSIONS: Sequence[str] = ("(z|z?){1000}(z|z?){1000}b", "(z|z?){400}b", "[^a]{900}b", "(z+)+b")
COSTLY_TEXT = "z" * 255  # a name that these are held against
