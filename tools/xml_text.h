/* Text inside XML. */
#ifndef ATTNBENCH_XML_TEXT_H
#define ATTNBENCH_XML_TEXT_H

#include <stdio.h>

/* Escaped for content and for attributes in double quotes. Control characters, which XML 1.0 cannot have, become '?'. */
void xml_print(FILE *out, const char *text);

#endif
