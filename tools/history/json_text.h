/* JSON as text. */
#ifndef ATTNBENCH_JSON_TEXT_H
#define ATTNBENCH_JSON_TEXT_H

struct json_t;

/* Compact, with all digits of its numbers; to free(). NULL: no memory. In place of json_dumps(), which leaves out a string
 * that its buffer had no memory for and goes on (jansson 2.14). */
char *json_text(const struct json_t *value);

#endif
