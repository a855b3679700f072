//! Every bound of the program, with its unit in its name and the reason for its value.

use std::time::Duration;

/// Largest UDP payload we read or write, in bytes: the Ethernet MTU and some room for jumbo STUN.
pub const DATAGRAM_BYTES_MAX: usize = 1600;

/// Commands a shard may have waiting. A room that outruns its shard waits, it never loses a command.
pub const SHARD_COMMANDS_MAX: usize = 16_384;

/// Events a room may have waiting before the shard keeps them in its own backlog.
pub const ROOM_EVENTS_MAX: usize = 4_096;

/// Signal messages waiting for one participant's socket; a client that reads slower than this is disconnected.
pub const SIGNAL_OUT_MAX: usize = 1_024;

/// Requests waiting in one room's mailbox, API calls and signal requests together.
pub const ROOM_MAILBOX_MAX: usize = 4_096;

/// What ends the frames the server makes up in an end-to-end encrypted room: random, so that nothing a client sends ends so.
pub const SIF_TRAILER_BYTES: usize = 24;

/// Packets of video history one encoding keeps for retransmission, `rtc.packet_buffer_size_video`'s default.
pub const VIDEO_HISTORY_PACKETS: usize = 512;

/// Packets of audio history, as above.
pub const AUDIO_HISTORY_PACKETS: usize = 256;

/// How long a packet is worth sending again: three round trips of a slow path, after which a decoder has given it up.
pub const RESEND_HOLD: Duration = Duration::from_secs(1);

/// What a history begins with: a low layer or a voice needs no more.
pub const HISTORY_PACKETS_MIN: usize = 16;
pub const HISTORY_BYTES_MIN: usize = 4_096;

const _: () = assert!(HISTORY_BYTES_MIN > 2 * DATAGRAM_BYTES_MAX);

/// Tracks announced by AddTrack but not yet seen in an SDP, per participant (WIRE.md §2.7).
pub const PENDING_TRACKS_MAX: usize = 20;

/// Remote addresses one peer may be heard from at a time; a client that roams leaves old ones behind.
pub const PEER_ADDRESSES_MAX: usize = 16;

/// Addresses remembered as belonging to a sibling shard; forgetting one costs a look into its next connectivity check.
pub const ROUTES_FOREIGN_MAX: usize = 65_536;

/// Events kept back for a room that does not keep up, per peer; a peer beyond that is ended.
pub const PEER_EVENT_BACKLOG_MAX: usize = 8_192;

/// Buffers of sent runs a shard keeps, in bytes: a run of audio for each of a thousand listeners.
pub const SPARE_BYTES_MAX: usize = 4 << 20;

/// Subscribers whose runs are sealed before the first of them is sent. Sends in a row wake receivers and fill caches once;
/// at eight packets a run, more would outgrow the second level cache.
pub const RUNS_HELD_MAX: usize = 32;

/// Packets gathered before they are forwarded, in bytes: what one read of the sockets may bring.
pub const GATHERED_BYTES_MAX: usize = 512 << 10;

/// Datagrams on their way to a sibling shard in one turn, in bytes: as much as one turn may read.
pub const HANDOVER_BYTES_MAX: usize = GATHERED_BYTES_MAX;

/// Things handed to a sibling shard in one turn, packets of 64 bytes in as many bytes.
pub const HANDOVER_THINGS_MAX: usize = HANDOVER_BYTES_MAX / 64;

/// Such bytes waiting in a sibling's queue; what comes beyond is lost, as it would be in a full socket.
pub const HANDOVER_QUEUED_BYTES_MAX: usize = 8 << 20;

/// Datagrams and commands taken before the sockets are looked at again.
pub const SHARD_TURN_MAX: usize = 1_024;

/// TCP connections waiting for their first connectivity check.
pub const ICE_TCP_PENDING_MAX: usize = 1_024;

/// How long such a connection may take.
pub const ICE_TCP_FIRST_FRAME_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// Packets one transport-cc feedback may speak of; the rest is not read. A sender of 20 000 packets/s that hears nothing
/// for most of a second needs this many, while a forged datagram of run lengths could name millions.
pub const TRANSPORT_CC_STATUSES_MAX: usize = 16_384;

/// SSRCs a publisher's connection may show: 20 tracks with three encodings and their retransmissions, with room for
/// clients that start over under new ones.
pub const SSRCS_LEARNT_MAX: usize = 512;
/// Remote candidates kept of one peer. Browsers send under twenty; more is a mistake or an attack.
pub const ICE_REMOTE_CANDIDATES_MAX: usize = 64;

/// Addresses of one peer we take DTLS and media from at a time; the one heard least recently gives way.
pub const ICE_PATHS_MAX: usize = 16;

/// Distinct addresses one ICE agent learns from authenticated checks before it is renewed (lite) or refuses more (full).
pub const ICE_ADDRESSES_MAX: usize = 64;

/// Connectivity checks held until the client's description tells its credentials.
pub const ICE_HELD_CHECKS_MAX: usize = 8;

/// Time without a check or an authenticated packet until a peer counts as disconnected (WIRE.md §3.8).
pub const ICE_DISCONNECTED: Duration = Duration::from_secs(10);

/// Time from disconnected until a peer counts as failed (WIRE.md §3.8).
pub const ICE_FAILED: Duration = Duration::from_secs(5);

/// First retransmission of a full agent's check; it doubles. As browsers do it: the other side may have its description a
/// moment later, and a quarter of a second (RFC 8489 §6.2.1 wants half of one) would be most of a join.
pub const ICE_RETRANSMIT: Duration = Duration::from_millis(50);

/// Longest time between checks of a full agent on a working pair (WIRE.md §3.8).
pub const ICE_KEEPALIVE: Duration = Duration::from_secs(2);

/// A nomination not repeated for this long no longer competes with another pair's: two missed keepalives and some jitter.
pub const ICE_NOMINATION: Duration = Duration::from_secs(5);

/// A pair unheard for this long, three times the refresh of its nomination, may no longer carry DTLS or media to us.
pub const ICE_PATH_IDLE: Duration = Duration::from_secs(30);

/// First repetition of a TURN client's request; it doubles (RFC 8489 §6.2.1 wants half a second, browsers take a quarter).
pub const TURN_RETRANSMIT: Duration = Duration::from_millis(250);

/// Times a TURN client sends one request: eight seconds in all, less than a join may take.
pub const TURN_TRIES_MAX: u32 = 5;

/// Peers of one allocation: the server's candidates, and those of its next ICE restarts.
pub const TURN_PEERS_MAX: usize = 32;

/// Time after which an allocation and its channels are refreshed: a permission lasts five minutes (RFC 8656 §9).
pub const TURN_REFRESH: Duration = Duration::from_secs(200);

/// Longest DTLS handshake (WIRE.md §3.8).
pub const DTLS_HANDSHAKE: Duration = Duration::from_secs(60);

/// First retransmission of a DTLS flight (WIRE.md §3.8); it doubles.
pub const DTLS_RETRANSMIT: Duration = Duration::from_millis(100);

/// Retransmissions of one DTLS flight: 100 ms doubled ten times outlasts `DTLS_HANDSHAKE`, which then decides.
pub const DTLS_RETRIES: usize = 10;

/// Largest DTLS datagram sent: what passes every path that carries IPv6, with room for a relay's header.
pub const DTLS_DATAGRAM_BYTES: usize = 1200;

/// Largest output of the DTLS engine taken at once: a certificate, or a record.
pub const DTLS_OUTPUT_BYTES_MAX: usize = 65_536;

/// DTLS datagrams waiting to be sent; SCTP is not asked for more until they are gone.
pub const DTLS_OUT_MAX: usize = 64;

/// Streams (SSRCs) one peer may send us whose replay state is kept; the one idle longest is forgotten first.
pub const SRTP_SOURCES_MAX: usize = 512;

/// Streams (SSRCs) sent to one peer over its whole life: their sequence numbers may never be forgotten, keys would repeat
/// a nonce.
pub const SRTP_SENDERS_MAX: usize = 65_536;

/// Data channels of one peer. LiveKit clients open three or four.
pub const DATA_CHANNELS_MAX: usize = 64;

/// Largest data-channel message taken from a peer, in bytes, and the `a=max-message-size` we offer (WIRE.md §3.11).
pub const DATA_MESSAGE_BYTES_MAX: u32 = 65_535;

/// Bytes one data channel may have waiting before `send` refuses.
pub const DATA_BUFFERED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Longest label of a data channel, in bytes. LiveKit's have under twenty; the RFC allows 65535.
pub const DATA_CHANNEL_LABEL_BYTES_MAX: usize = 256;

/// Bytes received on data channels and not yet whole or in order, per peer.
pub const DATA_RECEIVE_BYTES_MAX: u32 = 1024 * 1024;

/// Associations one peer may try to start: it needs one, and one more when both sides begin at once.
pub const SCTP_ASSOCIATIONS_MAX: usize = 8;
/// Stretches of numbers a leg remembers to place late packets. A stretch ends at each dropped picture, so at 30 pictures
/// a second of which half are dropped this is four seconds: longer than any retransmission is useful.
pub const NUMBER_RUNS_MAX: usize = 64;

/// Packets of one stream that may be asked for at a time, and how often each (WIRE.md §4.3). More than that is an outage
/// a key frame mends better.
pub const NACK_OUTSTANDING_MAX: usize = 100;
pub const NACK_TRIES_MAX: u8 = 5;

/// How often one packet is sent again to one subscriber. The reference stops at three; where a fifth is lost, several pictures
/// a minute then never become whole. Browsers ask ten times, and a limited connection has a budget besides.
pub const RESENDS_MAX: u8 = 8;

/// Average packet sizes that bound a history, in bytes. Larger packets shorten it.
pub const VIDEO_PACKET_BYTES: usize = 1_250;
pub const AUDIO_PACKET_BYTES: usize = 256;

/// A sequence number this far ahead is a new series, not a gap (RFC 3550 appendix A.1, MAX_DROPOUT).
pub const SEQUENCE_JUMP_MAX: u64 = 3_000;

/// Arrivals held for one transport-cc feedback. Feedback is due after a hundred; the rest is what one batch of datagrams
/// may bring before the next poll.
pub const TRANSPORT_CC_HELD_MAX: usize = 512;
/// ICE candidates of a client kept until its description is known; browsers with many interfaces send some twenty.
pub const CANDIDATES_MAX: usize = 64;

/// AddTrack requests waiting for the same client track id (WIRE.md §2.7).
pub const QUEUED_TRACKS_MAX: usize = 3;

/// Subscriptions, settings and the like one participant may name; 20 tracks of 500 people.
pub const SUBSCRIPTIONS_MAX: usize = 10_000;

/// Media sections of one client parked until it announces their tracks.
pub const PARKED_SECTIONS_MAX: usize = 64;

/// Identities per room whose way around blocked UDP is remembered.
pub const FALLBACKS_MAX: usize = 10_000;
/// Bytes of a session description. A browser's section takes 1 to 3 KB, so this is room for several hundred tracks.
pub const SDP_BYTES_MAX: usize = 1024 * 1024;

/// Sections of a session description, in those read and those written. 1024 is far above what a browser copes with.
pub const SDP_SECTIONS_MAX: usize = 1_024;

/// Entries of one sort in a section (payload types, extensions, ssrc lines, rids, candidates): browsers list under 60.
pub const SDP_SECTION_ITEMS_MAX: usize = 128;

/// Simulcast encodings of one section: LiveKit has three spatial layers.
pub const ENCODINGS_MAX: usize = 3;
/// A join request in a connect URL, plain or inflated (WIRE.md §1.7). Also what a gzip bomb is cut off at.
pub const JOIN_REQUEST_BYTES_MAX: usize = 1 << 20;

/// A signal message where `limit.signal_message_size_limit` is 0: "no limit" must not mean all memory.
pub const SIGNAL_FRAME_BYTES_CEILING: usize = 64 << 20;

/// An API body where `limit.max_api_request_body_size` is 0, for the same reason.
pub const API_BODY_BYTES_CEILING: usize = 64 << 20;

/// Pongs waiting for one participant's socket; a client that pings faster than it reads waits.
pub const SIGNAL_PONGS_MAX: usize = 16;

/// What a WebSocket keeps to read and write with, in bytes: signal messages are a few hundred bytes, an SDP some thousand,
/// and the library's own 128 KiB would be most of an idle peer's memory.
pub const SIGNAL_BUFFER_BYTES: usize = 4096;

/// Bytes of a configuration file, key file or secret file. A full configuration is under 100 KiB; more is a wrong path.
pub const CONFIG_BYTES_MAX: u64 = 4 << 20;

/// Values in one YAML document, aliases counted each time they are used, so that a few lines cannot ask for all memory.
pub const CONFIG_NODES_MAX: usize = 200_000;

/// Bytes an API secret should have (WIRE.md §7.4); a shorter one is only warned about.
pub const API_SECRET_BYTES_MIN: usize = 32;

/// HTTP connections at once on the main port, open WebSockets not counted: those belong to their rooms. Enough for every
/// client of a full node to come back in the same second.
pub const HTTP_CONNECTIONS_MAX: usize = 16_384;

/// What is read and forgotten of a client after the server ended its connection, so that the client hears why: four times
/// the largest signal message, and time for it to come in and for the client's answer to the close.
pub const DISCARD_BYTES_MAX: u64 = 8 << 20;
pub const DISCARD_TIMEOUT: Duration = Duration::from_secs(2);

/// Request line and headers of one HTTP request: Go's default, which clients' join requests were sized against.
pub const HTTP_HEAD_BYTES_MAX: usize = 1 << 20;
/// Codecs one track may announce: every video codec there is, once.
pub const TRACK_CODECS_MAX: usize = 8;

/// Participants of which a receiver's last seen version is remembered, as in LiveKit.
pub const UPDATE_FILTER_SIDS_MAX: usize = 128;

/// One message on a data channel; LiveKit's own limit is 64 KiB, and SCTP associations may allow a little more.
pub const DATA_PACKET_BYTES_MAX: usize = 256 * 1024;

/// Nonces of user packets a room remembers, as in LiveKit.
pub const DATA_NONCES_MAX: usize = 100;

/// Reliable data packets kept for joiners, per room, as in LiveKit.
pub const REPLAY_PACKETS_MAX: usize = 100_000;

/// The same in bytes: two seconds of 32 Mbit/s.
pub const REPLAY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Unnumbered reliable data held for one joining participant, in bytes, as in LiveKit.
pub const REPLAY_HELD_BYTES_MAX: usize = 100_000;

/// Calls of the server's own waiting in one room.
pub const RPCS_PENDING_MAX: usize = 1_024;

/// Payload of a call: 15 KiB, so that a packet fits one SCTP message everywhere (WIRE.md §4.14).
pub const RPC_PAYLOAD_BYTES_MAX: usize = 15_360;

/// Data tracks one participant may publish.
pub const DATA_TRACKS_MAX: usize = 1_024;

/// Name of a data track or schema, in bytes (WIRE.md §2.13).
pub const DATA_TRACK_NAME_BYTES_MAX: usize = 256;

/// Data tracks one participant may want; far fewer than its 65535 handles.
pub const DATA_SUBSCRIPTIONS_MAX: usize = 16_384;

/// Data blobs of one participant together, in bytes, where `limit.max_data_blobs_size` sets no limit.
pub const DATA_BLOBS_BYTES_MAX: usize = 16 * 1024 * 1024;

const _: () = assert!(DATA_SUBSCRIPTIONS_MAX < u16::MAX as usize);

/// SCTP streams one peer may have at a time: its channels and ours, and as many again that are being closed.
pub const SCTP_STREAMS_MAX: usize = 4 * DATA_CHANNELS_MAX;

/// Shards of one node: a letter of each ICE user name fragment names the shard.
pub const SHARDS_MAX: usize = 26;
/// Missing packet numbers one received track remembers: more than any server keeps for retransmission.
pub const CLIENT_MISSING_MAX: usize = 1_024;

/// Packets of one sent encoding a client keeps for retransmission: half a second of 2.5 Mbit/s.
pub const CLIENT_HISTORY_PACKETS: usize = 128;

/// Things a driver thread may have waiting; who asks for more waits.
pub const CLIENT_COMMANDS_MAX: usize = 16_384;

/// Happenings of one transport its participant may have waiting. There are few in its life; one that is this far behind
/// is stuck and loses its transport.
pub const CLIENT_EVENTS_MAX: usize = 256;

/// Data messages waiting for whoever holds a participant; more are dropped and counted.
pub const CLIENT_MESSAGES_MAX: usize = 1_024;

/// Body of an API answer or of a refused upgrade.
pub const CLIENT_ANSWER_BYTES_MAX: usize = 16 << 20;
/// Packets sent to one subscriber that feedback may still speak of. The ring begins small and grows with what is in
/// flight: 8192 are one second of 80 Mbit/s.
pub const SENT_PACKETS_MIN: usize = 256;
pub const SENT_PACKETS_MAX: usize = 8_192;
/// Packets that wait for their turn on one limited connection: what a history holds. Further ones go at once.
pub const HELD_PACKETS_MAX: usize = 512;

/// Participants one load test may ask for: at 20 KiB each and two sockets, what a large machine carries.
pub const LOAD_PARTICIPANTS_MAX: u64 = 50_000;

/// Participants of one of its rooms: three times the largest anybody has shown.
pub const LOAD_ROOM_PARTICIPANTS_MAX: u64 = 10_000;

/// Seconds of a load test its time series keeps: a day.
pub const LOAD_SERIES_MAX: usize = 86_400;

/// Received tracks whose figures a report lists one by one; the rest is in the sums.
pub const LOAD_TRACKS_LISTED_MAX: usize = 100_000;

/// Results of members that wait for the swarm to take them.
pub const LOAD_RESULTS_MAX: usize = 1_024;

/// Reasons of failed joins told apart; others count together.
pub const LOAD_REASONS_MAX: usize = 32;

/// Sent packets a client remembers until feedback speaks of them: a second of 20 Mbit/s.
pub const CLIENT_SENT_MAX: usize = 2_048;

/// Values read from a server's metrics page: its own names times a few labels.
pub const LOAD_SAMPLES_MAX: usize = 4_096;

/// Nodes named in one refusal; a client or a log line has no use for a thousand.
pub const REFUSALS_TOLD_MAX: usize = 8;

/// Seconds a join is remembered for placement: the load average, the slowest of the measures, shows it whole after 60.
pub const DEBIT_SECONDS_MAX: usize = 64;

/// Samples of the node's counters kept for its rates: an hour at one a second.
pub const RATE_SAMPLES_MAX: usize = 3_600;
/// How long Redis may take to answer one command, or a ping before it counts as away: a Redis two seconds off still works.
pub const REDIS_ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// How often the connections to Redis are tried.
pub const REDIS_PING_INTERVAL: Duration = Duration::from_millis(500);

/// Pause between attempts to reach Redis again: soon enough that rooms are back in the store within 5 s.
pub const REDIS_RETRY_INTERVAL: Duration = Duration::from_millis(250);

/// Between two tries to move the rooms of a draining node: the statistics others choose by are two seconds old at most, and a
/// node that had no room for one may have it then.
pub const DRAIN_MOVE_INTERVAL: Duration = Duration::from_secs(5);

/// How long the node that a room goes to may take to begin it, before the room's people are sent there all the same.
pub const HAND_OVER_TIMEOUT: Duration = Duration::from_secs(1);

/// From the deadline of a drain, when rooms move, until those that could not are closed.
pub const DRAIN_CLOSE_GRACE: Duration = Duration::from_secs(10);
/// Messages to other nodes waiting for Redis. Signalling of thousands joining at once; a lost one is sent again.
pub const BUS_OUT_MAX: usize = 16_384;

/// Messages sent to Redis in one go.
pub const BUS_BATCH_MAX: usize = 512;

/// Channels named in one SUBSCRIBE, so that a node with many rooms does not write one command of megabytes.
pub const BUS_SUBSCRIBE_MAX: usize = 512;

/// Calls of other nodes worked on at a time; further ones are left to their caller's next try.
pub const BUS_REQUESTS_MAX: usize = 4_096;

/// Offers and answers one call may have waiting.
pub const CALL_HEARD_MAX: usize = 64;

/// Answers to a question to everybody: more nodes than any cluster has.
pub const MULTI_ANSWERS_MAX: usize = 4_096;

/// How long an ended recording is told of, and how often such are looked for (CLUSTER.md §4.3).
pub const EGRESS_KEPT: Duration = Duration::from_secs(24 * 3600);
pub const EGRESS_SWEEP_INTERVAL: Duration = Duration::from_secs(30 * 60);

/// Tries to write an ingress that others write at the same time (CLUSTER.md §4).
pub const INGRESS_WRITE_ATTEMPTS: usize = 5;

/// Tries at starting a recording, the time of the first, and what the first pause is a multiple of (CLUSTER.md §1.10): a worker
/// may first have to be started.
pub const EGRESS_START_ATTEMPTS: u32 = 3;
pub const EGRESS_START_TIMEOUT: Duration = Duration::from_secs(10);
pub const EGRESS_START_PAUSE: Duration = Duration::from_secs(1);

/// How long a call by telephone may take to be set up, and to be answered where the caller waits for that (CLUSTER.md §2.3).
pub const SIP_CALL_TIMEOUT: Duration = Duration::from_secs(30);
pub const SIP_ANSWER_TIMEOUT: Duration = Duration::from_secs(80);

/// How long nodes are waited for that may have agent workers, and how long what they said is believed (CLUSTER.md §2.4).
pub const AGENT_CENSUS_TIMEOUT: Duration = Duration::from_secs(5);
pub const AGENT_CENSUS_KEPT: Duration = Duration::from_secs(60);

/// How long a worker has to take a job (CLUSTER.md §1.10).
pub const AGENT_JOB_TIMEOUT: Duration = Duration::from_secs(3);

/// Jobs of one dispatch that were taken and not noted yet: one for each namespace of workers.
pub const AGENT_JOBS_MAX: usize = 64;

/// Namespaces and names of workers a node believes another: more than any operator gives out.
pub const AGENT_NAMES_MAX: usize = 4_096;

/// How long a message's lock stands (CLUSTER.md §1.6).
pub const QUEUE_LOCK_SECONDS: u64 = 5;

/// Streams of other nodes waiting to be taken.
pub const STREAM_ACCEPTS_MAX: usize = 1_024;

/// Signal messages waiting on either side of a relay, for the socket or for the bus.
pub const RELAY_QUEUE_MAX: usize = 1_024;

/// How often a node looks whether the map still gives it its rooms: so long two nodes may both serve a room after one of
/// them came back.
pub const OWNER_VERIFY_INTERVAL: Duration = Duration::from_secs(2);

/// Rooms asked for in one look.
pub const OWNER_VERIFY_MAX: usize = 512;

/// Rooms written at a time, so that thousands are back within seconds even when Redis is far.
pub const OWNER_PARALLEL_MAX: usize = 64;

/// Whole seconds after which a node's entry is stale (CLUSTER.md §5.3).
pub const NODE_FRESH_SECONDS: i64 = 5;

/// Whole seconds after which an entry is late that is written every two.
pub const NODE_LATE_SECONDS: i64 = 3;

/// Seconds it is remembered of a node that it was struck from the list: by then all its people have asked for their rooms.
pub const NODE_STRUCK_SECONDS: u64 = 30;

/// How often nodes are looked after whose participants are connected here.
pub const NODE_WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// Looks at which nobody may listen for a node in a row: connecting again takes a quarter of a second and some. As many until
/// a node that was asked for a late entry must have written it.
pub const NODE_MUTE_LOOKS: u32 = 2;

/// Looks at which a node's entry may be missing in a row: it is written every two seconds.
pub const NODE_MISSING_LOOKS: u32 = 6;

/// How long Redis must have been there until it says something that a node's subscriptions are not.
pub const REDIS_STEADY: Duration = Duration::from_secs(3);

/// A beat more often would only cost.
pub const NODE_BEAT_INTERVAL_MIN: Duration = Duration::from_millis(100);

/// How often a room is sought whose owner changes meanwhile.
pub const PLACE_ATTEMPTS: usize = 4;

/// How often the store is swept.
pub const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Rooms one sweep goes through, about: some 600 kB in four commands of a millisecond or two. 100,000 take four minutes.
pub const SWEEP_SLICE: usize = 2_048;

/// Seconds a node stays listed after its entry went stale: others have seen by then that it is gone.
pub const NODE_DEAD_SECONDS: i64 = 10;

/// Participants of other nodes waiting for this one's attention.
pub const ARRIVALS_MAX: usize = 1_024;

/// How long a joining participant waits until other nodes can find it; longer would be felt.
pub const SETTLE_TIMEOUT: Duration = Duration::from_millis(500);

/// How long a stopping node tries to say so.
pub const LEAVE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a room may be given to a node without having begun there.
pub const PROMISE_TIMEOUT: Duration = Duration::from_secs(30);

/// How far back the estimate of a drain's end looks: people leave meetings in waves of minutes.
pub const DRAIN_ETA_WINDOW: Duration = Duration::from_secs(300);

/// Samples of that window, at one a second.
pub const DRAIN_SAMPLES_MAX: usize = 300;

/// Looks in a row, one a second, at which a drained node's entry is missing where nobody can tell whether it still listens: a
/// living one writes it every two seconds.
pub const DRAIN_MISSING_LOOKS: u32 = 4;

/// Looks in a row at which its entry is stale: Redis may have been away, and it is written as soon as it is back.
pub const DRAIN_LOST_LOOKS: u32 = 3;

/// Operators' orders a node has waiting; each is answered at once.
pub const ORDERS_MAX: usize = 16;

/// Rooms a draining node hands over at a time: the others take their people in as fast as they come.
pub const MOVES_PARALLEL_MAX: usize = 16;

/// Versions of nodes long gone that a starting node forgets at once; the rest waits for the next.
pub const VERSIONS_FORGOTTEN_MAX: usize = 1_024;

/// Candidates of the server a probe tries: more than a node has addresses, few enough to check them all in time.
pub const PROBE_CANDIDATES_MAX: usize = 64;

/// Things a probe may have waiting for its sides of a session. Each happens a few times in a session's life.
pub const PROBE_EVENTS_MAX: usize = 256;

/// Sockets one bridge to a TURN server serves: one for each of a probe's four connections, and as many again.
pub const PROBE_TURN_FLOWS_MAX: usize = 8;

/// Datagrams waiting for a TURN server that takes them too slowly; more are lost, as on any path.
pub const PROBE_TURN_QUEUE_MAX: usize = 512;

/// TURN servers a probe tries, of however many the server names.
pub const PROBE_TURN_SERVERS_MAX: usize = 8;

/// A letter between the coordinator of a load test and its workers: the results of one worker are the longest, with some
/// kilobytes of histograms for each room.
pub const LOAD_LETTER_BYTES_MAX: usize = 64 << 20;
