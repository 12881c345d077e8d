"""Properties of codecs and core that hypothesis tries to break: noise causes typed errors only."""

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from lab.fake_server.link import feed
from lab.fake_server.replies import HEAD, MAXIMAL, create_reply, entry, listing
from lab.fake_server.samples import link, pending_call, reader

from smbferry_engine.core.errors import ProtocolError
from smbferry_engine.wire import (
    create,
    data,
    dfs,
    directory,
    extended_attributes,
    header,
    info,
    ioctl,
    names,
    security,
    session,
    sid_mapping,
    snapshots,
    streams,
    tree,
    trustees,
)
from smbferry_engine.wire.errors import WireError

DECODERS: list[Callable[[bytes], Any]] = [
    create.decode_create,
    create.decode_close,
    data.decode_write,
    info.decode_query,
    info.decode_size,
    ioctl.decode_resume_key,
    ioctl.decode_copied,
    ioctl.decode_ranges,
    snapshots.decode_snapshots,
    session.decode_session_setup,
    tree.decode_tree_connect,
    dfs.decode_referrals,
    directory.decode_query_directory,
    lambda message: directory.decode_query_directory(message, directory.PLAIN),
    lambda message: data.decode_read(message, 0, len(message)),
    lambda message: header.decode_header(message, 0, len(message)),
    lambda message: header.decode_transform(message.ljust(52, b"\0"), 0),
    info.decode_volume_flags,
    lambda message: streams.decode_streams(message[64:]),
    lambda message: extended_attributes.decode_extended_attributes(message[64:]),
    lambda message: security.decode_security_descriptor(message[64:]),
    lambda message: sid_mapping.replace_sids(message[64:], lambda sid: sid + bytes(4)),
    lambda message: trustees.trustees_of(message[64:]),
]


@given(st.binary(max_size=400))
def no_bytes_make_a_decoder_fail_in_any_other_way(noise: bytes) -> None:
    """Noise, with and without a header, raises nothing but WireError."""
    for decode in DECODERS:
        for message in (noise, HEAD + noise):
            try:
                decode(message)
            except WireError:
                continue


@given(
    st.sampled_from([create_reply(MAXIMAL), listing(entry(b"a\0", following=88) + bytes(6) + entry(b"b\0"))]), st.data()
)
def no_changed_byte_makes_a_decoder_fail_in_any_other_way(message: bytes, source: st.DataObject) -> None:
    """Valid replies with up to four changed bytes raise nothing but WireError."""
    changed = bytearray(message)
    for _ in range(source.draw(st.integers(1, 4))):
        changed[source.draw(st.integers(64, len(message) - 1))] = source.draw(st.integers(0, 255))
    for decode in DECODERS:
        try:
            decode(bytes(changed))
        except WireError:
            continue


@given(st.lists(st.integers(0, 0xFFFF), max_size=40))
def names_survive_to_the_code_unit(units: list[int]) -> None:
    """Every sequence of UTF-16 code units is encoded as it was decoded."""
    raw = b"".join(unit.to_bytes(2, "little") for unit in units)
    assert names.encode_name(names.decode_name(raw)) == raw


@given(st.binary(max_size=300))
def no_stream_of_bytes_makes_the_reader_fail_in_any_other_way(noise: bytes) -> None:
    """Noise on the connection raises nothing but typed errors."""
    try:
        feed(reader(), noise)
    except (ProtocolError, WireError):
        return


@given(st.binary(min_size=64, max_size=400))
def no_decrypted_message_makes_the_lane_fail_in_any_other_way(noise: bytes) -> None:
    """Noise in an authentic frame raises nothing but typed errors."""
    joined = link()
    pending_call(joined)
    try:
        joined.reply(noise)
    except (ProtocolError, WireError):
        return
