/* Bytes for a socket, as many as the kernel takes now. Internal to http_*. */
#ifndef PLATFORM_HTTP_SEND_H
#define PLATFORM_HTTP_SEND_H

#include <uv.h>

/* As uv_try_write, which goes the kernel's longer way for files: by send, and
   so without SIGPIPE. Nothing may wait in the stream's own queue. Returns how
   many bytes went, UV_EAGAIN for none, or libuv's error. */
int http_send(const uv_stream_t *stream, const uv_buf_t *bufs, unsigned count);

#endif
