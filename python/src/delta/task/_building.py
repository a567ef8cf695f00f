"""From a learning task to its bundle: what is traced, and what is made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from .._export.gradients import Bound, gradient_step
from .._export.model import Holdings
from .._export.proximal import proximal_step
from .._export.training import training_step
from .._export.validation import validation
from .._export.variates import controlled_step
from ..bundle import Bundle
from ..manifest import Draft
from ._loaders import batch_of, declare, declared_by, loading
from ._personal import refuse_forgotten, shared
from ._private import PrivatePlan, refuse
from ._resume import resumed
from ._rounds import Plan, rows_of
from ._sites import checked
from ._strategies import FedProx
from ._variates import Scaffold

if TYPE_CHECKING:
    from .learning import HorizontalLearning


def built(task: HorizontalLearning) -> Bundle:
    """Trace ``train`` and ``validate`` and pack the task."""
    strategy, declared = task.learning, declared_by(task)
    draft = Draft(task.name, strategy, description=task.description)
    draft.authoring["torch"] = torch.__version__
    draft.options.update(task.options())
    sources = declare(draft, declared)
    split = declared.split
    measured = task.validate_interval > 0 and (split or task.validate_frac > 0)
    train_rows, validation_rows = rows_of(split, task.validate_frac if measured else 0.0, task.seed + 1)
    batch = batch_of(declared, task.preprocess)
    held = Holdings(task)
    published = held.published(task.state_dict())
    refuse_forgotten(held, published)
    published, personal = shared(held, published, task.personal, strategy)
    noise = None if task.privacy is None else task.privacy.plan(task.max_rounds)
    before = resumed(task.resume_from, task.max_rounds, noise)
    if task.privacy is not None and noise is not None and not task.privacy.member:
        refuse(strategy, None, member=False, personal=personal)
        single = task.privacy.unit is None and task.privacy.linf is None
        bound = Bound(task.privacy.clip, task.privacy.linf, strategy.precision, products=single)
        loading(task.make_train_dataloader, declared)
        PrivatePlan(
            draft=draft,
            step=gradient_step(task, type(task).train, batch, bound, rounds=task.max_rounds),
            published=published,
            sources=sources,
            dataset=declared.dataset,
            rows=train_rows,
            noise=noise,
            keep_optimizer=task.optimizer_state == "keep",
            max_rounds=task.max_rounds,
            resumed=before,
        ).write()
        return draft.build()
    steps = task.max_rounds * strategy.merge_iteration if strategy.merge_iteration > 0 else None
    length: dict[str, Any] = {"rounds": task.max_rounds, "steps": steps}
    near = {e.name for e in published.values()}
    if isinstance(strategy, Scaffold):
        step = controlled_step(task, type(task).train, batch, near, **length)
    elif isinstance(strategy, FedProx) and strategy.proximal_mu > 0:
        step = proximal_step(task, type(task).train, batch, strategy.proximal_mu, near, **length)
    else:
        step = training_step(task, type(task).train, batch, **length)
    plan = Plan(
        draft=draft,
        strategy=strategy,
        step=step,
        published=published,
        sources=sources,
        dataset=declared.dataset,
        training=loading(task.make_train_dataloader, declared),
        train_rows=train_rows,
        seed=task.seed,
        keep_optimizer=task.optimizer_state == "keep",
        max_rounds=task.max_rounds,
        noise=noise,
        personal=personal,
        resumed=before,
    )
    checked(task.sites, strategy.min_clients, measured=measured)
    if measured:
        plan.validation = validation(task, type(task).validate, batch)
        plan.validating = loading(task.make_validate_dataloader, declared)
        plan.validation_rows, plan.validate_interval = validation_rows, task.validate_interval
        plan.sites = task.sites
    plan.write()
    return draft.build()
