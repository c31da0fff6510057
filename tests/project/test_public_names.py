"""Import paths that were public once stay: code written for the first version goes on to work."""

from __future__ import annotations

import importlib

import pytest

# Of version 0.1.0.
PUBLIC = {
    "fanin": """
        MLP ClassifierTrainer DivergenceWarning __version__ augment callbacks checkpoint
        datasets diagnostics ensemble get_num_threads init_two_layer_model initializers
        layers lecture losses optim plots preprocessing random schedules set_num_threads
        show_config tuning two_layer_net
    """,
    "fanin.augment": """
        CenterCrop ColorJitter Compose CutMix Cutout FiveCrop GaussianNoise HorizontalFlip
        Indexed LensDistortion Mixup Normalize OneOf RandomAffine RandomApply RandomCrop
        RandomErasing RandomGrayscale RandomResizedCrop RandomRotation Resize TenCrop
        Transform VerticalFlip batches parse torch_collate
    """,
    "fanin.augment.colour": """
        ColorJitter GaussianNoise Normalize RandomGrayscale
    """,
    "fanin.augment.compose": """
        Compose
    """,
    "fanin.augment.composition": """
        OneOf RandomApply
    """,
    "fanin.augment.crops": """
        CenterCrop FiveCrop RandomCrop RandomResizedCrop Resize TenCrop
    """,
    "fanin.augment.erasing": """
        Cutout RandomErasing
    """,
    "fanin.augment.flips": """
        HorizontalFlip VerticalFlip
    """,
    "fanin.augment.loaders": """
        Indexed batches torch_collate
    """,
    "fanin.augment.mixing": """
        CutMix Mixup
    """,
    "fanin.augment.spec": """
        parse
    """,
    "fanin.augment.warps": """
        LensDistortion RandomAffine RandomRotation
    """,
    "fanin.callbacks": """
        CSVLogger Callback CallbackList EarlyStopping History LambdaCallback ModelCheckpoint
        ProgressBar
    """,
    "fanin.checkpoint": """
        FORMAT_VERSION atomic_write load_archive save_archive
    """,
    "fanin.cli": """
        main
    """,
    "fanin.datasets": """
        NAMES Info features load split
    """,
    "fanin.diagnostics": """
        ActivationReport DataFinding DataReport LayerStatistics activation_report
        activation_statistics data_report
    """,
    "fanin.ensemble": """
        Ensemble Failure ParameterAverage average_parameters from_checkpoints from_datasets
        from_initializations from_objectives from_search
    """,
    "fanin.history": """
        History
    """,
    "fanin.initializers": """
        Initializer get kaiming small_random xavier
    """,
    "fanin.layers": """
        affine_backward affine_forward batch_norm batch_norm_backward batch_norm_forward dense
        dense_backward dense_forward dropconnect_backward dropconnect_forward
        dropconnect_inference dropout_backward dropout_forward elu_backward elu_forward
        gelu_backward gelu_forward layer_norm_backward layer_norm_forward leaky_relu_backward
        leaky_relu_forward mish_backward mish_forward prelu_backward prelu_forward relu_backward
        relu_forward selu_backward selu_forward sigmoid_backward sigmoid_forward silu_backward
        silu_forward softmax_loss softplus_backward softplus_forward svm_loss tanh_backward
        tanh_forward
    """,
    "fanin.lecture": """
        ClassifierTrainer Stats init_two_layer_model two_layer_net
    """,
    "fanin.losses": """
        expected_initial_loss get mse_loss softmax softmax_loss svm_loss
    """,
    "fanin.network": """
        MLP
    """,
    "fanin.optim": """
        SGD AMSGrad AdaDelta AdaGrad Adam AdamW Lion Momentum Nadam Nesterov Optimizer
        RMSProp clip_grad_norm get
    """,
    "fanin.plots": """
        TRAIN VALIDATION activations animate_optimizers augmentations compare
        dropout_thinning ensemble gd_vs_sgd grid_vs_random history image_grid learning_rates
        optimizer_paths parallel_coordinates preprocessing rates save search
    """,
    "fanin.plots.data": """
        preprocessing
    """,
    "fanin.plots.descent": """
        gd_vs_sgd learning_rates
    """,
    "fanin.plots.images": """
        augmentations image_grid
    """,
    "fanin.plots.members": """
        ensemble
    """,
    "fanin.plots.optimizers": """
        animate_optimizers optimizer_paths
    """,
    "fanin.plots.rates": """
        rates
    """,
    "fanin.plots.runs": """
        compare history
    """,
    "fanin.plots.search": """
        grid_vs_random parallel_coordinates search
    """,
    "fanin.plots.units": """
        activations dropout_thinning
    """,
    "fanin.preprocessing": """
        PCA Normalize Preprocess Whiten ZeroCenter column_moments
    """,
    "fanin.random": """
        Generator GeneratorState Rng as_generator
    """,
    "fanin.schedules": """
        Constant Cosine CyclicCosine Exponential Function InverseTime OneCycle Plateau
        Schedule Step WarmUp get
    """,
    "fanin.training": """
        DivergenceWarning
    """,
    "fanin.tuning": """
        Edge Finding Parameter RateProbe RateRange RateTrial Report SearchResult Step Trial
        Verdict choice guide integers loguniform loss_curve lr_probe lr_range search uniform
    """,
    "fanin.tuning.guide": """
        Report Step guide
    """,
    "fanin.tuning.lr_finder": """
        RateProbe RateRange RateTrial lr_probe lr_range
    """,
    "fanin.tuning.search": """
        search
    """,
    "fanin.tuning.space": """
        Parameter Space choice integers loguniform uniform
    """,
    "fanin.tuning.verdicts": """
        Finding Verdict loss_curve
    """,
}


@pytest.mark.parametrize("module", PUBLIC)
def test_names_of_the_first_version_can_be_imported(module: str) -> None:
    loaded = importlib.import_module(module)
    missing = [name for name in PUBLIC[module].split() if not hasattr(loaded, name)]
    assert not missing
