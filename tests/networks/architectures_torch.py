"""Published networks that were written in PyTorch, after their papers; see `architectures_keras`."""

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn
functional = nn.functional


def random_batch_norms(module):
    """Give every batch norm statistics as after training, so that leaving one out would be seen."""
    torch.manual_seed(1)
    for one in module.modules():
        if isinstance(one, (nn.BatchNorm1d, nn.BatchNorm2d)):
            for values in (one.weight, one.bias, one.running_mean, one.running_var):
                nn.init.uniform_(values, 0.5, 1.5)
    return module


class Lambda(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class DeepSEA(nn.Module):
    """As in Kipoi, converted from Lua: images of height 1, thresholds; for `predict`, both strands in one batch."""

    def __init__(self, strands):
        super().__init__()
        self.strands = strands
        self.first, self.act = nn.Conv2d(4, 20, (1, 8)), nn.Threshold(0, 1e-6)
        self.rest = nn.Sequential(
            nn.MaxPool2d((1, 4), (1, 4)),
            nn.Dropout(0.2),
            nn.Conv2d(20, 8, (1, 8)),
            nn.Threshold(0, 1e-6),
            Lambda(lambda x: x.view(x.size(0), -1)),
            nn.Linear(8 * 41, 5),
            nn.Sigmoid(),
        )

    def forward(self, x):
        n = len(x)
        if self.strands:
            x = torch.cat([x, x.flip([1, 3])])
        y = self.rest(self.act(self.first(x)))
        return (y[:n] + y[n:]) / 2 if self.strands else y


def basset():
    return nn.Sequential(
        nn.Conv2d(4, 30, (19, 1)),
        nn.BatchNorm2d(30),
        nn.ReLU(),
        nn.MaxPool2d((3, 1), (3, 1)),
        nn.Conv2d(30, 8, (11, 1)),
        nn.ReLU(),
        Lambda(lambda x: x.view(x.size(0), -1)),
        nn.Linear(8 * 50, 4),
        nn.Sigmoid(),
    )


class Pangolin(nn.Module):
    """Residual blocks, the skip connections added up; crops what the blocks see."""

    def __init__(self):
        super().__init__()
        self.conv1, self.skip = nn.Conv1d(4, 16, 1), nn.Conv1d(16, 16, 1)
        self.bn1, self.bn2 = nn.BatchNorm1d(16), nn.BatchNorm1d(16)
        self.a, self.b = nn.Conv1d(16, 16, 11, padding=5), nn.Conv1d(16, 16, 11, dilation=4, padding=20)
        self.conv2, self.last = nn.Conv1d(16, 16, 1), nn.Conv1d(16, 2, 1)

    def forward(self, x):
        conv = self.conv1(x)
        skip = self.skip(conv)
        out = self.b(torch.relu(self.bn2(self.a(torch.relu(self.bn1(conv))))))
        conv = out + conv
        skip = skip + self.conv2(conv)
        return functional.softmax(self.last(functional.pad(skip, (-20, -20))), dim=1)


class ExplaiNN(nn.Module):
    """Units side by side: the sequence is repeated, each filter looks at a copy of its own."""

    def __init__(self, n=12):
        super().__init__()
        self.n = n
        self.linears = nn.Sequential(
            nn.Conv1d(4 * n, n, 19, groups=n),
            nn.BatchNorm1d(n),
            Lambda(torch.exp),
            nn.MaxPool1d(7, 7),
            nn.Flatten(),
            nn.Unflatten(1, (-1, 1)),
            nn.Conv1d(n * 26, 5 * n, 1, groups=n),
            nn.ReLU(),
            nn.Conv1d(5 * n, n, 1, groups=n),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.final = nn.Linear(n, 2)

    def forward(self, x):
        return self.final(self.linears(x.repeat(1, self.n, 1)))


class Residual(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return x + self.inner(x)


class OwnGELU(nn.Module):
    def forward(self, x):
        return torch.sigmoid(1.702 * x) * x


class AttentionPool(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.logits = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x):
        x = x.unflatten(2, (-1, 2))
        return (x * self.logits(x).softmax(dim=-1)).sum(dim=-1)


class Enformer(nn.Module):
    """Its stem: a wide convolution, a residual block, attention pooling."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv1d(4, 24, 15, padding=7),
            Residual(nn.Sequential(nn.BatchNorm1d(24), OwnGELU(), nn.Conv1d(24, 24, 1))),
            AttentionPool(24),
        )
        self.head = nn.Sequential(nn.BatchNorm1d(24), OwnGELU(), nn.Conv1d(24, 3, 5, padding=2), nn.Softplus())

    def forward(self, x):
        return self.head(self.stem(x.transpose(1, 2))).transpose(1, 2)


class Malinois(nn.Module):
    """Basset, padded by hand, with branches for three cells."""

    def __init__(self):
        super().__init__()
        self.pad1, self.conv1, self.bn1 = nn.ConstantPad1d((9, 9), 0), nn.Conv1d(4, 20, 19), nn.BatchNorm1d(20)
        self.act, self.pool = nn.ReLU(), nn.MaxPool1d(3, padding=0)
        self.conv2 = nn.Conv1d(20, 10, 11, padding=5)
        self.branches = nn.ModuleList(nn.Linear(10, 1) for _ in range(3))

    def forward(self, x):
        h = self.pool(self.act(self.bn1(self.conv1(self.pad1(x)))))
        h = self.act(self.conv2(h)).mean(dim=2)
        return torch.cat([branch(h) for branch in self.branches], dim=1)


class SqueezeExcite(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(channels, 4), nn.SiLU(), nn.Linear(4, channels), nn.Sigmoid())

    def forward(self, x):
        return x * self.fc(x.mean(dim=2)).unsqueeze(2)


def legnet():
    """Sequences of five or six channels there, four here; SiLU, squeeze and excitation, depthwise convolutions."""
    block = nn.Sequential(
        nn.Conv1d(16, 32, 1),
        nn.BatchNorm1d(32),
        nn.SiLU(),
        nn.Conv1d(32, 32, 7, groups=32, padding="same"),
        SqueezeExcite(32),
        nn.Conv1d(32, 16, 1),
        nn.BatchNorm1d(16),
        nn.SiLU(),
    )
    return nn.Sequential(
        nn.Conv1d(4, 16, 11, padding="same"),
        nn.BatchNorm1d(16),
        nn.SiLU(),
        Residual(block),
        nn.Conv1d(16, 18, 1),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.LogSoftmax(dim=1),
    )


class AITAC(nn.Module):
    """An image of the bases: the kernel is as high as there are bases."""

    def __init__(self):
        super().__init__()
        self.layer1_conv = nn.Sequential(
            nn.Conv2d(1, 30, (4, 19), padding=(0, 9)), nn.BatchNorm2d(30), nn.ReLU(), nn.MaxPool2d((1, 3), (1, 3))
        )
        self.layer2 = nn.Sequential(nn.Conv1d(30, 8, 11, padding=5), nn.BatchNorm1d(8), nn.ReLU())
        self.last = nn.Linear(8, 3)

    def forward(self, x):
        h = torch.squeeze(self.layer1_conv(x.unsqueeze(1)), dim=2)
        return self.last(self.layer2(h).mean(dim=2))


class BPNetLite(nn.Module):
    """As in bpnet-lite and in the tests of tangermeme: control tracks need not be given."""

    def __init__(self, trimming=20):
        super().__init__()
        self.trimming = trimming
        self.iconv, self.irelu = nn.Conv1d(4, 12, 21, padding=10), nn.ReLU()
        self.rconvs = nn.ModuleList(nn.Conv1d(12, 12, 3, padding=2**i, dilation=2**i) for i in (1, 2, 3))
        self.fconv, self.linear = nn.Conv1d(12, 2, 75, padding=37), nn.Linear(12, 1)

    def forward(self, x, x_ctl=None):
        start, end = self.trimming, x.shape[2] - self.trimming
        x = self.irelu(self.iconv(x))
        for conv in self.rconvs:
            x = torch.add(x, torch.relu(conv(x)))
        profile = self.fconv(x)[:, :, start:end]
        return profile, self.linear(torch.mean(x[:, :, start - 10 : end + 10], dim=2))


class FlattenDense(nn.Module):
    """One of tangermeme's small ones."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.dense = nn.Conv1d(4, 6, 9, padding=4), nn.ReLU(), nn.Linear(6 * 100, 3)

    def forward(self, x):
        return self.dense(self.relu(self.conv(x)).reshape(x.shape[0], -1))


ARCHITECTURES = {
    "DeepSEA/predict": (lambda: DeepSEA(True), 200, "first", "act", {}, "Zhou & Troyanskaya 2015; Kipoi"),
    "DeepSEA/variantEffects": (lambda: DeepSEA(False), 200, "first", "act", {}, "Zhou & Troyanskaya 2015; Kipoi"),
    "Basset": (basset, 198, "0", "2", {}, "Kelley et al. 2016; Kipoi"),
    "Pangolin": (Pangolin, 300, "conv1", None, {}, "Zeng & Li 2022"),
    "ExplaiNN": (ExplaiNN, 200, "linears.0", "linears.2", {}, "Novakovsky et al. 2023"),
    "Enformer, stem": (Enformer, 256, "stem.0", "stem.1.inner.1", {"axes": "L,4"}, "Avsec et al. 2021"),
    "Malinois": (Malinois, 200, "conv1", None, {}, "Gosai et al. 2024"),
    "LegNet": (legnet, 150, "0", "2", {}, "Penzar et al. 2023"),
    "AI-TAC": (AITAC, 251, "layer1_conv.0", "layer1_conv.2", {}, "Maslova et al. 2020"),
    "bpnet-lite": (BPNetLite, 300, "iconv", "irelu", {}, "Schreiber, tangermeme and bpnet-lite"),
    "tangermeme's FlattenDense": (FlattenDense, 100, "conv", "relu", {}, "Schreiber, tangermeme and bpnet-lite"),
}
