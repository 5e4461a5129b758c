/* Bytes for a socket; see http_send.h. */
#include "common/http_send.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

int http_send(const uv_stream_t *stream, const uv_buf_t *bufs, unsigned count) {
  struct msghdr message;
  uv_os_fd_t fd;
  ssize_t n;

  if (uv_fileno((const uv_handle_t *)stream, &fd) != 0)
    return UV_EBADF;
  memset(&message, 0, sizeof message);
  /* A uv_buf_t is a struct iovec, and is only read. */
  memcpy(&message.msg_iov, &bufs, sizeof bufs);
  message.msg_iovlen = count;
  do {
    if (count == 1)
      n = send(fd, bufs->base, bufs->len, MSG_NOSIGNAL | MSG_DONTWAIT);
    else
      n = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  if (n >= 0)
    return (int)n;
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS
             ? UV_EAGAIN
             : uv_translate_sys_error(errno);
}
