"""attn.h as ctypes: the header itself is read, so a field that is added to it needs no second edit here.

`header.py ATTN_H` prints a C program of static assertions that holds every size, offset and enumerator that was read
against the compiler's own view; mk/peers.mk compiles it before the comparison may run.
"""

import ctypes
import re
import sys

SCALARS = {
    "int": ctypes.c_int,
    "unsigned": ctypes.c_uint,
    "float": ctypes.c_float,
    "double": ctypes.c_double,
    "int32_t": ctypes.c_int32,
    "uint32_t": ctypes.c_uint32,
    "int64_t": ctypes.c_int64,
    "uint64_t": ctypes.c_uint64,
    "size_t": ctypes.c_size_t,
    "bool": ctypes.c_bool,
}
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
ENUM = re.compile(r"\benum\s*(\w*)\s*\{([^}]*)\}\s*(\w*)\s*;")
STRUCT = re.compile(r"typedef\s+struct\s+\w*\s*\{([^}]*)\}\s*(\w+)\s*;")
DECLARATION = re.compile(r"(?:const\s+)?(\w+)\s+(.+)", re.DOTALL)


class HeaderError(Exception):
    pass


class Header:
    """constants: every enumerator; dtypes: {"f32": value}; structs: {name: ctypes.Structure}."""

    def __init__(self, path):
        self.path = path
        self.constants, self.structs, self.dtypes = {}, {}, {}
        self._enums = set()
        with open(path, encoding="utf-8") as file:
            text = COMMENT.sub(" ", file.read())
        for tag, body, name in ENUM.findall(text):
            self._read_enum(body)
            self._enums.update(filter(None, (tag, name)))
            if name == "attn_dtype":
                self.dtypes = {n[len("ATTN_") :].lower(): self.constants[n] for n in self._names(body)}
        for body, name in STRUCT.findall(text):
            self.structs[name] = type(name, (ctypes.Structure,), {"_fields_": self._fields(name, body)})
        for needed in ("attn_desc", "attn_options", "attn_args", "attn_strides", "attn_mask"):
            if needed not in self.structs:
                raise HeaderError(f"{path}: no struct {needed} found in it")

    @staticmethod
    def _names(body):
        return [entry.split("=")[0].strip() for entry in body.split(",") if entry.strip()]

    def _read_enum(self, body):
        value = -1
        for entry in filter(None, map(str.strip, body.split(","))):
            name, _, expression = map(str.strip, entry.partition("="))
            if not expression:
                value += 1
            else:
                shift = re.fullmatch(r"(\w+?)[uU]?\s*(?:<<\s*(\d+))?", expression)
                if not shift:
                    raise HeaderError(f"{self.path}: cannot read the value of {name}: {expression}")
                value = int(shift.group(1), 0) << int(shift.group(2) or 0)
            self.constants[name] = value

    def _fields(self, struct, body):
        fields = []
        for declaration in filter(None, map(str.strip, body.split(";"))):
            match = DECLARATION.fullmatch(declaration)
            if not match:
                raise HeaderError(f"{self.path}: cannot read '{declaration}' of {struct}")
            type_name, declarators = match.groups()
            for declarator in map(str.strip, declarators.split(",")):
                fields.append((declarator.lstrip("* "), self._type(struct, type_name, declarator)))
        return fields

    def _type(self, struct, name, declarator):
        if declarator.startswith("*"):
            return ctypes.c_char_p if name == "char" else ctypes.c_void_p
        if name in SCALARS:
            return SCALARS[name]
        if name in self._enums:
            return ctypes.c_int
        if name in self.structs:
            return self.structs[name]
        raise HeaderError(f"{self.path}: field {declarator} of {struct} has the unknown type {name}")

    def assertions(self):
        """A C file that compiles only if what was read is what the compiler sees."""
        yield '#include "attn.h"'
        yield "#include <stddef.h>"
        for name, value in self.constants.items():
            yield f'_Static_assert({name} == {value}, "{name}");'
        for name, struct in self.structs.items():
            yield f'_Static_assert(sizeof({name}) == {ctypes.sizeof(struct)}, "size of {name}");'
            for field, _ in struct._fields_:
                at = getattr(struct, field)
                where = f"{name}.{field}"
                yield f'_Static_assert(offsetof({name}, {field}) == {at.offset}, "offset of {where}");'
                yield f'_Static_assert(sizeof((({name} *)0)->{field}) == {at.size}, "size of {where}");'


if __name__ == "__main__":
    try:
        print("\n".join(Header(sys.argv[1]).assertions()))
    except (HeaderError, OSError) as error:
        sys.exit(f"header.py: {error}")
