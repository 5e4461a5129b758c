/* How options are shown: names at the left, sentences at the right, folded at
   80 columns. */
#include "common/config_value.h"

#include <stdio.h>
#include <string.h>

enum { COLUMNS = 79, TEXT_AT = 26 };

/* Prints words of text from column TEXT_AT on; column is where the line is. */
static void print_folded(const char *text, size_t column) {
  if (column + 2 > TEXT_AT) {
    (void)putchar('\n');
    column = 0;
  }
  (void)printf("%*s", (int)(TEXT_AT - column), "");
  column = TEXT_AT;
  while (*text != '\0') {
    size_t len = strcspn(text, " ");

    if (column > TEXT_AT && column + 1 + len > COLUMNS) {
      (void)printf("\n%*s", TEXT_AT, "");
      column = TEXT_AT;
    } else if (column > TEXT_AT) {
      (void)putchar(' ');
      column++;
    }
    (void)printf("%.*s", (int)len, text);
    column += len;
    text += len + strspn(text + len, " ");
  }
  (void)putchar('\n');
}

static void print_option(const config_option *o) {
  bool shown = o->value != NULL && *o->value != '\0' && o->kind != CONFIG_FLAG;
  char text[1024];
  int len = printf("  --%s%s%s", o->name, o->argument != NULL ? "=" : "",
                   o->argument != NULL ? o->argument : "");

  (void)snprintf(text, sizeof text, "%s%s%s%s%s",
                 o->help != NULL ? o->help : "",
                 o->kind == CONFIG_LIST ? " More than once." : "",
                 shown ? " [" : "", shown ? o->value : "", shown ? "]" : "");
  print_folded(text, len > 0 ? (size_t)len : 0);
}

void config_print_help(const config_program *program) {
  (void)printf("Usage: %s [OPTION]...%s%s\n%s\n\n", program->name,
               program->operands != NULL ? " " : "",
               program->operands != NULL ? program->operands : "",
               program->summary);
  for (const config_option *o = program->options; o->name != NULL; o++)
    print_option(o);
  for (const config_option *o = config_own_options; o->name != NULL; o++)
    print_option(o);
  if (program->prefix != NULL)
    (void)printf("\nThe environment can say them too, as %s_NAME with '_' for "
                 "'-'.\nThe command line counts before it, and it before the "
                 "file.\n",
                 program->prefix);
}
