from __future__ import annotations

import torch
from torch import nn

from moonas.hardware.trace import trace
from moonas.hardware.twin import meta_twin


class Odd(nn.Module):
    """Holds tensors and parts in places where modules seldom have them."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.again = self.layer
        self.plain = torch.arange(4.0)
        self.several = [torch.ones(4), (torch.ones(4), "text")]
        self.hidden = [self.layer]
        self.options = {"scale": torch.ones(1), "name": "odd"}
        self.register_buffer("kept", torch.zeros(4), persistent=False)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return self.hidden[0](given) * self.options["scale"] + self.plain + self.several[0] + self.kept


def test_a_twin_has_the_shapes_and_shares_no_storage() -> None:
    module = Odd()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    twin = meta_twin(module)
    assert {name: each.shape for name, each in twin.state_dict().items()} == {
        n: each.shape for n, each in before.items()
    }
    assert all(each.device.type == "meta" for each in (*twin.parameters(), *twin.buffers()))
    assert all(torch.equal(module.state_dict()[name], each) for name, each in before.items())
    assert all(each.device.type == "cpu" for each in (*module.parameters(), *module.buffers()))


def test_a_twin_has_its_own_parts_shared_as_in_the_module() -> None:
    module = Odd()
    twin = meta_twin(module)
    assert twin.layer is twin.again is twin.hidden[0]  # type: ignore[index]
    assert twin.layer is not module.layer
    twin.options["name"] = "changed"  # type: ignore[index]
    assert module.options["name"] == "odd"


def test_tensors_that_are_no_buffers_go_along() -> None:
    assert [each.kind for each in trace(Odd(), (4,))] == ["addmm", "mul", "add", "add", "add"]
    assert Odd().plain.device.type == "cpu"


def test_a_compiled_part_can_be_traced() -> None:
    compiled = torch.jit.trace(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval(), torch.zeros(1, 3, 8, 8))  # type: ignore[no-untyped-call]
    module = nn.Sequential(compiled, nn.Conv2d(4, 5, 1))
    work = sum(each.multiply_adds for each in trace(module, (3, 8, 8)))
    assert work == 36 * 4 * 27 + 36 * 5 * 4
    assert all(each.device.type == "cpu" for each in module.parameters())
