"""Makes the files in `checkpoints/`: what torch.save writes of small tensors, in every form that is read, and in forms that must be refused.

Beside each `.pth` that is read lies a `.safetensors` with the same tensors as f32, written here without the library: what a reader must find.
"""

import json
import os
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import torch
from make_training_run import write_safetensors
from torch import nn

FOLDER = Path(__file__).parent / "checkpoints"


class Tiny(nn.Module):
    """The network of `crates/network/tests/tiny`: its names and shapes."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = self.bn1(self.conv1(x)).relu()
        x = (self.bn2(self.conv2(x)) + x).relu()
        return self.fc(x.mean((2, 3)))


def save(name, value, expected=None, **options):
    torch.save(value, FOLDER / name, **options)
    if expected is not None:
        floats = {key: t.detach().to(torch.float32) for key, t in expected.items()}
        write_safetensors(FOLDER / f"{Path(name).name.split('.')[0]}.safetensors", floats, {})


def zipped_again(source, name, method=zipfile.ZIP_STORED, **replaced):
    """The entries of a file in a zip of Python's, some of them replaced: `data_pkl=b""` for `…/data.pkl`."""
    with zipfile.ZipFile(FOLDER / source) as old, zipfile.ZipFile(FOLDER / name, "w", method) as new:
        for entry in old.namelist():
            data = replaced.get(entry.split("/", 1)[1].replace(".", "_").replace("/", "_"), old.read(entry))
            new.writestr(zipfile.ZipInfo(entry), data, method)


def small():
    """A linear layer and a norm: a weight, statistics, and the integer `num_batches_tracked`."""
    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    net(torch.randn(5, 3))
    return net.state_dict()


def trained():
    """What the usual training script saves: the state dict of a wrapped network among other things."""
    net = Tiny()
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [1, 2])
    net(torch.randn(2, 1, 8, 8)).square().mean().backward()
    optimizer.step()
    scheduler.step()
    state = net.state_dict()
    entries = {
        "epoch": 3,
        "arch": "tiny",
        "best_prec1": torch.tensor(71.5),
        "history": [(1, 0.5), {"loss": None}],
        "state_dict": OrderedDict((f"module.{key}", t) for key, t in state.items()),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "huge": 1 << 80,
    }
    return entries, {f"module.{key}": t for key, t in state.items()}


DTYPES = {
    "f64": torch.tensor([0.1, -1e300, 1e-300], dtype=torch.float64),
    "f32": torch.tensor([0.1, float("inf"), -0.0]),
    "f16": torch.tensor([0.1, -65504.0, 6e-8, 1e-5, float("-inf"), -0.0], dtype=torch.float16),
    "bf16": torch.tensor([0.1, -3e38, 1e-40], dtype=torch.bfloat16),
    "i64": torch.tensor([-(1 << 62), 16777217, 3]),
    "i32": torch.tensor([-(1 << 31), 7], dtype=torch.int32),
    "i16": torch.tensor([-32768, 7], dtype=torch.int16),
    "i8": torch.tensor([-128, 7], dtype=torch.int8),
    "u8": torch.tensor([255, 7], dtype=torch.uint8),
    "bool": torch.tensor([True, False]),
    "u16": torch.tensor([65535, 7], dtype=torch.uint16),
    "u32": torch.tensor([(1 << 32) - 1, 7], dtype=torch.uint32),
    "u64": torch.tensor([1 << 63, 7], dtype=torch.uint64),
}

NAMES = {"f64": "F64", "f32": "F32", "f16": "F16", "bf16": "BF16", "i64": "I64", "i32": "I32", "i16": "I16", "i8": "I8",
         "u8": "U8", "bool": "BOOL", "u16": "U16", "u32": "U32", "u64": "U64"}  # fmt: skip


def raw(t):
    """The bytes of a tensor's elements."""
    return bytes(t.contiguous().view(torch.uint8).tolist()) if t.dtype != torch.uint8 else bytes(t.tolist())


def write_dtypes():
    """The same tensors as a safetensors file of their own types."""
    header, body = {}, b""
    for key, t in DTYPES.items():
        data = raw(t)
        header[key] = {"dtype": NAMES[key], "shape": list(t.shape), "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    (FOLDER / "dtypes-of-their-own.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + body)


def views():
    """Strides, offsets and storages as a state dict may have them."""
    base = torch.arange(24.0)
    return OrderedDict(
        transposed=base.view(4, 6).t(),
        channels_last=base.view(1, 2, 3, 4).contiguous(memory_format=torch.channels_last),
        sliced=base.view(4, 6)[1:3, 2:5],
        every_third=base[1::3],
        repeated=torch.tensor([1.0, 2.0]).view(2, 1).expand(2, 3),
        shared=base,
        scalar=torch.tensor(2.5),
        empty=torch.empty(0, 3),
        parameter=nn.Parameter(base[:2]),
    )


class Evil:
    def __reduce__(self):
        return os.system, ("echo the code of a checkpoint has run",)


def main():
    torch.manual_seed(1)
    FOLDER.mkdir(exist_ok=True)
    state = small()
    save("small.pth", state, state)
    save("protocol-4.pth", state, pickle_protocol=4)
    zipped_again("small.pth", "deflated.pth", zipfile.ZIP_DEFLATED)
    zipped_again("small.pth", "big-endian.pth", byteorder=b"big")
    torch.serialization.set_crc32_options(False)
    save("no-checksums.pth", state)
    torch.serialization.set_crc32_options(True)
    save("legacy.pth", state, _use_new_zipfile_serialization=False)
    save("trained.pth.tar", *trained())
    save("dtypes.pth", DTYPES, DTYPES)
    write_dtypes()
    save("views.pth", views(), views())
    save("complex.pth", {"spectrum": torch.zeros(2, dtype=torch.complex64)})
    save("module.pth", nn.Linear(1, 1))
    save("malicious.pth", {"weight": torch.zeros(1), "other": Evil()})


if __name__ == "__main__":
    main()
