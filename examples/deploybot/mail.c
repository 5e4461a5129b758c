/* Headers and encodings of mails; see mail.h. */
#include "deploybot/mail.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
  SUBJECT_MOST = 200, /* bytes */
  ENCODED_BYTES = 39, /* of an encoded word: 52 characters of base64 */
  QP_COLUMNS = 75
};

bool mail_is_address(const char *s) {
  const char *at = strchr(s, '@');

  if (at == NULL || at == s || at[1] == '\0' || strchr(at + 1, '@') != NULL ||
      strlen(s) > ADDRESS_MOST || s[0] == '-')
    return false;
  for (; *s != '\0'; s++)
    if (*s <= ' ' || *s >= 0x7f || strchr("\"(),:;<>[\\]", *s) != NULL)
      return false;
  return true;
}

/* Text of one line: what cannot be shown is a "?", white space a space. */
static void add_clean(text *out, const char *s, size_t most, bool lines) {
  size_t len = strlen(s), n;

  for (size_t i = 0; i < len && out->len < most; i += n) {
    n = mail_character(s + i, len - i);
    if (n != 0)
      text_add(out, s + i, n);
    else if (s[i] == '\n' && lines)
      text_str(out, "\n");
    else
      text_str(out, strchr("\t\r\n", s[i]) != NULL ? " " : "?");
    n = n != 0 ? n : 1;
  }
}

static bool is_ascii(const char *s) {
  for (; *s != '\0'; s++)
    if ((*s & 0x80) != 0)
      return false;
  return true;
}

static void add_base64(text *out, const char *data, size_t len) {
  static const char digits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

  for (size_t i = 0; i < len; i += 3) {
    uint32_t bits = (uint32_t)(unsigned char)data[i] << 16;
    char four[4];

    if (i + 1 < len)
      bits |= (uint32_t)(unsigned char)data[i + 1] << 8;
    if (i + 2 < len)
      bits |= (unsigned char)data[i + 2];
    for (size_t d = 0; d < 4; d++)
      four[d] = i + d > len ? '=' : digits[bits >> (18 - 6 * d) & 63];
    text_add(out, four, 4);
  }
}

static void add_encoded(text *out, const char *s) {
  while (*s != '\0') {
    size_t len = 0, n;

    while (s[len] != '\0') {
      n = mail_character(s + len, strlen(s + len));
      if (len + n > ENCODED_BYTES)
        break;
      len += n;
    }
    text_str(out, "=?UTF-8?B?");
    add_base64(out, s, len);
    text_str(out, "?=");
    s += len;
    if (*s != '\0')
      text_str(out, "\r\n ");
  }
}

static void add_folded(text *out, const char *s, size_t column) {
  while (*s != '\0') {
    size_t len = strspn(s, " ");

    len += strcspn(s + len, " ");
    /* Not before the end: a line of spaces alone would be none. */
    if (*s == ' ' && column + len > MAIL_COLUMNS && s[len] != '\0') {
      text_str(out, "\r\n");
      column = 0;
    }
    text_add(out, s, len);
    column += len;
    s += len;
  }
}

static void add_subject(text *out, const char *subject) {
  text clean = TEXT_INIT;
  const char *s;

  add_clean(&clean, subject, SUBJECT_MOST, false);
  s = text_get(&clean);
  text_str(out, "Subject: ");
  if (is_ascii(s) && strstr(s, "=?") == NULL)
    add_folded(out, s, strlen("Subject: "));
  else
    add_encoded(out, s);
  text_str(out, "\r\n");
  out->failed = out->failed || clean.failed;
  text_free(&clean);
}

static void add_date(text *out, int64_t at_ms) {
  static const char days[] = "SunMonTueWedThuFriSat";
  static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  time_t at = (time_t)(at_ms / 1000);
  struct tm tm = {.tm_year = 70, .tm_mday = 1, .tm_wday = 4};

  (void)gmtime_r(&at, &tm);
  text_printf(out, "Date: %.3s, %02d %.3s %d %02d:%02d:%02d +0000\r\n",
              days + (ptrdiff_t)3 * tm.tm_wday, tm.tm_mday,
              months + (ptrdiff_t)3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour,
              tm.tm_min, tm.tm_sec);
}

static void add_plain(text *out, const char *s) {
  for (; *s != '\0'; s++)
    text_add(out, *s == '\n' ? "\r\n" : s, *s == '\n' ? 2 : 1);
}

static void add_quoted_printable(text *out, const char *s) {
  size_t column = 0;

  for (; *s != '\0'; s++) {
    unsigned char c = (unsigned char)*s;
    bool last = s[1] == '\n' || s[1] == '\0';
    bool plain = c >= ' ' && c < 0x7f && c != '=' && !(c == ' ' && last);
    size_t width = plain ? 1 : 3;

    if (c == '\n') {
      text_str(out, "\r\n");
      column = 0;
      continue;
    }
    if (column + width > QP_COLUMNS) {
      text_str(out, "=\r\n");
      column = 0;
    }
    if (plain)
      text_add(out, s, 1);
    else
      text_printf(out, "=%02X", c);
    column += width;
  }
}

static bool has_long_line(const char *s) {
  for (; *s != '\0'; s += strcspn(s, "\n"), s += *s == '\n')
    if (strcspn(s, "\n") > QP_COLUMNS)
      return true;
  return false;
}

static void add_addresses(text *out, const mail_head *head) {
  text_printf(out, "From: deploybot <%s>\r\nTo: ", head->from);
  for (size_t i = 0; i < head->to_count; i++)
    text_printf(out, "%s<%s>", i == 0 ? "" : ",\r\n ", head->to[i]);
  text_str(out, "\r\n");
}

void mail_write(const mail_head *head, const char *body, text *out) {
  text clean = TEXT_INIT;
  bool plain;

  add_clean(&clean, body, SIZE_MAX, true);
  plain = is_ascii(text_get(&clean)) && !has_long_line(text_get(&clean));
  add_addresses(out, head);
  add_subject(out, head->subject);
  add_date(out, head->at_ms);
  text_printf(out, "Message-ID: <%s>\r\n", head->id);
  if (head->refers_to != NULL)
    text_printf(out, "In-Reply-To: <%s>\r\nReferences: <%s>\r\n",
                head->refers_to, head->refers_to);
  text_printf(out,
              "MIME-Version: 1.0\r\n"
              "Content-Type: text/plain; charset=utf-8\r\n"
              "Content-Transfer-Encoding: %s\r\n"
              "Auto-Submitted: auto-generated\r\n\r\n",
              plain ? "7bit" : "quoted-printable");
  if (plain)
    add_plain(out, text_get(&clean));
  else
    add_quoted_printable(out, text_get(&clean));
  out->failed = out->failed || clean.failed;
  text_free(&clean);
}
