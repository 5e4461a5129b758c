/*
 * The one table of all options. Each row makes the setter's checks, the
 * command's flag and its help, and the row of the option page.
 *
 *   STRING(name, secret, default, summary)
 *   INT(name, unit, min, max, zero, default, summary)
 *   SWITCH(name, default, summary)
 *   ENUM(name, values, default, summary)     values in the order of the enum
 *   LIST(name, secret, summary)
 *   JSON(name, type, summary)
 *
 * zero 1: the value 0 is allowed too although it is below min; its meaning is
 * in the summary. The includer defines the six macros.
 */
/* clang-format off */

/* where, and as whom */
STRING(url, 1, "", "URL of the database (http://host:5984/db) or of /_db_updates; may hold user:password")
LIST(endpoint, 0, "base URL of another node of the same cluster, tried when the one in use fails; repeatable")
ENUM(endpoint_order, "spread|listed", "spread", "which node is preferred: one by chance, so that followers spread over the cluster, or the URL's")
INT(endpoint_return_ms, "ms", 100, 86400000, 0, 60000, "after a fault of the preferred node: how often it is asked, while another is followed, whether it is well again")
STRING(unix_socket, 0, "", "connect to this unix domain socket instead of the URL's host")
STRING(username, 0, "", "user name; takes the place of the URL's")
STRING(password, 1, "", "password of username")
STRING(bearer_token, 1, "", "send this token as Authorization: Bearer")
SWITCH(session, 0, "log in at /_session and use its cookie instead of sending the password with each request")
STRING(ca_file, 0, "", "file of PEM certificates to trust instead of the system's")
STRING(client_cert, 0, "", "file with the client certificate in PEM")
STRING(client_key, 0, "", "file with the client certificate's key in PEM")
STRING(client_key_password, 1, "", "password of client_key")
SWITCH(tls_verify, 1, "check the server's certificate and host name")
STRING(proxy, 1, "", "proxy as [scheme://][user:password@]host[:port]; \"-\" = none, whatever the environment says")
STRING(user_agent, 0, "", "User-Agent header; default: the library and its version")
ENUM(http_version, "1.1|2", "1.1", "HTTP version to ask for")
SWITCH(compression, 0, "let the server compress its answers")
SWITCH(follow_redirects, 0, "follow up to 5 redirects; credentials stay on the first origin")
LIST(header, 1, "another request header, \"Name: value\"; repeatable")
LIST(query, 0, "another query parameter, name=value, encoded by the library; repeatable")

/* what */
ENUM(source, "changes|all_docs", "changes", "what is read: the feed of changes, or once the list of documents, each with its winning revision")
ENUM(mode, "live|once", "live", "follow for ever, or end when caught up")
ENUM(transport, "auto|continuous|longpoll|eventsource", "auto", "how live changes are asked for; auto is continuous, with longpoll where a proxy holds rows back")
STRING(since, 0, "0", "start after this position: 0, now, or a seq; a stored position goes before it")
STRING(filter, 0, "", "filter function of the server, design/name, or _design")
JSON(doc_ids, "array", "only these ids: a JSON array of strings (filter _doc_ids; with source=all_docs: keys)")
JSON(selector, "object", "only documents that match: a Mango selector (filter _selector)")
STRING(view, 0, "", "only documents that this view's map function emits, design/name (filter _view)")
ENUM(style, "main_only|all_docs", "main_only", "revisions in a row: the winner, or all leaves")
SWITCH(include_docs, 0, "send the document with each row")
SWITCH(conflicts, 0, "with include_docs: list conflicting revisions in the document")
SWITCH(attachments, 0, "with include_docs: send attachments in base64")
SWITCH(att_encoding_info, 0, "with include_docs: tell how attachments are stored")
SWITCH(validate_docs, 0, "with include_docs: read each document as JSON, and refuse a row whose document is none")
STRING(startkey, 0, "", "with source=all_docs: the first id")
STRING(endkey, 0, "", "with source=all_docs: the last id")
SWITCH(inclusive_end, 1, "with source=all_docs: list the document endkey itself, too")
INT(page_rows, "rows", 1, 10000000, 0, 10000, "with source=all_docs: rows asked for at once")
INT(limit, "rows", 1, INT64_MAX, 1, 0, "end after this many rows; 0 = no limit")
INT(seq_interval, "rows", 1, 1000000, 1, 0, "let the server state the position only each so many rows, which costs it less; 0 or auto = 1000, at most checkpoint_every, in what is past, each row in what is live; 1 = each row")
SWITCH(descending, 0, "newest first; only with mode=once")

/* time */
INT(heartbeat_ms, "ms", 100, 60000, 0, 10000, "how often the server shows that it is alive")
INT(idle_timeout_ms, "ms", 100, 86400000, 1, 0, "silence after which the connection is given up; 0 = 1.5 x heartbeat_ms")
INT(connect_timeout_ms, "ms", 100, 3600000, 0, 10000, "time to connect, name look-up and TLS included")
INT(header_timeout_ms, "ms", 100, 3600000, 0, 65000, "time until a response begins")
INT(connection_max_age_ms, "ms", 1000, 604800000, 1, 3600000, "renew a connection after this time, so that withdrawn rights take effect; 0 = never")
INT(progress_interval_ms, "ms", 100, 86400000, 0, 60000, "how often the position moves at least when a filter lets no row through")
STRING(tick, 0, "", "id of a document that somebody writes every few seconds: its rows prove that changes come through, and stats tell by fresh_ms up to when")
INT(tick_write_ms, "ms", 1000, 86400000, 1, 0, "write the tick ourselves when its last row is older than this; 0 = never")

/* trouble */
INT(retry_min_ms, "ms", 10, 3600000, 0, 250, "first ceiling of the random delay before another attempt; it doubles with each failure")
INT(retry_max_ms, "ms", 10, 86400000, 0, 60000, "highest ceiling of that delay")
INT(retry_limit, "attempts", 1, 1000000000, 1, 0, "fail at the n-th failed attempt in a row; 0 = never")
INT(missing_tolerance_ms, "ms", 0, 604800000, 0, 60000, "how long a database that was there may be missing")
SWITCH(wait_for_database, 0, "wait for a database that does not exist yet")
ENUM(on_reset, "restart|stop", "restart", "when the server serves another history: start it from 0, or fail")
SWITCH(marker, 0, "write a random marker into a _local document, to know the database again")

/* limits */
INT(max_row_bytes, "bytes", 1024, 1073741824, 0, 67108864, "longest row")
INT(receive_buffer_bytes, "bytes", 1024, 10485760, 0, 524288, "buffer for reading what is past from the network; what is live gets 64 KiB of it at most on a loop of more than 8 feeds, 16 KiB of more than 64")
INT(max_queue_bytes, "bytes", 4096, 1073741824, 0, 1048576, "received bytes kept while the application is behind")
INT(max_depth, "levels", 8, 100000, 0, 1000, "deepest nesting of a row")
INT(max_unacked, "rows", 1, 10000000, 0, 10000, "rows delivered and not acknowledged before delivery waits")
INT(repeat_cache, "rows", 1, 16777216, 1, 1024, "revisions remembered to tell repeats from news; 0 = none")

/* delivery and positions */
SWITCH(auto_ack, 1, "a row is acknowledged when its callback has taken it")
INT(batch_max, "rows", 1, 100000, 0, 100, "most rows of one on_batch")
INT(batch_delay_ms, "ms", 0, 60000, 0, 0, "how long rows wait for more to share a batch")
STRING(checkpoint, 0, "none", "where the position is kept: none, file:PATH, or couch (a _local document of the database)")
STRING(checkpoint_key, 0, "", "name of the position in its store; default: made of the URL and the filter")
INT(checkpoint_every, "rows", 1, 1000000000, 0, 1000, "save after this many acknowledged rows")
INT(flush_timeout_ms, "ms", 1, 600000, 1, 5000, "checkpoint=couch: how long the end of a feed waits for its last position to be saved; 0 = not")
SWITCH(flush_on_stop, 0, "checkpoint=couch: changefeed_stop waits so, too, instead of ending within 100 ms")
INT(checkpoint_interval_ms, "ms", 0, 86400000, 0, 5000, "save at the latest this long after the position moved; 0 = at once")
/* clang-format on */
