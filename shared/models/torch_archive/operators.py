"""The operators that a program may use: functions of tensors, by their names in torch.ops.aten. Pure.

A list, since names alone say little: of torch's 1,600 operators some read files (`from_file`), return memory of others (`empty`),
change where a tensor's memory is (`set_`, `resize_`) or draw random numbers, and JIT adds `save`. What is not listed is refused.
An operator `name_` that changes its first argument is allowed where `name` is; the runner refuses one that changes a weight.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

_ELEMENTWISE = """
abs absolute acos acosh add addcdiv addcmul alpha_dropout angle arccos arccosh arcsin arcsinh arctan arctan2
arctanh asin asinh atan atan2 atanh bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift
bitwise_xor ceil celu clamp clamp_max clamp_min clip copysign cos cosh deg2rad digamma div divide dropout elu
eq equal erf erfc erfinv exp exp2 expm1 feature_dropout fix float_power floor floor_divide fmax fmin fmod frac
ge gelu glu greater greater_equal gt hardshrink hardsigmoid hardswish hardtanh heaviside hypot i0 isclose
isfinite isinf isnan isneginf isposinf ldexp le leaky_relu lerp less less_equal lgamma log log10 log1p log2
log_sigmoid logaddexp logaddexp2 logical_and logical_not logical_or logical_xor logit lt maximum minimum mish
mul multiply nan_to_num ne neg negative nextafter not_equal positive pow prelu _prelu_kernel rad2deg
reciprocal relu relu6 remainder round rrelu rsqrt rsub selu sgn sigmoid sign signbit silu sin sinc sinh
softplus softshrink special_digamma special_entr special_erf special_erfc special_erfcx special_erfinv
special_exp2 special_expit special_expm1 special_i0 special_i0e special_i1 special_i1e special_log1p
special_log_ndtr special_logit special_ndtr special_ndtri special_round special_sinc special_xlog1py
special_xlogy sqrt square sub subtract tan tanh threshold true_divide trunc where xlogy __and__ __or__ __xor__
__lshift__ __rshift__
"""
_REDUCTIONS = """
all amax amin aminmax any argmax argmin count_nonzero cummax cummin cumprod cumsum diff dist
linalg_vector_norm logcumsumexp logsumexp max mean median min mode nanmean nanmedian nanquantile nansum norm
prod quantile std std_mean sum var var_mean
"""
_SHAPES = """
alias atleast_1d atleast_2d atleast_3d broadcast_tensors broadcast_to cat channel_shuffle chunk clone
column_stack concat concatenate constant_pad_nd contiguous detach detach_copy diag diag_embed diagonal dstack
expand expand_as flatten flip fliplr flipud hstack lift_fresh lift_fresh_copy mH mT matrix_H meshgrid moveaxis
movedim narrow native_channel_shuffle numpy_T pad permute pixel_shuffle pixel_unshuffle ravel reflection_pad1d
reflection_pad2d reflection_pad3d repeat repeat_interleave replication_pad1d replication_pad2d
replication_pad3d reshape reshape_as roll rot90 row_stack select slice split split_with_sizes squeeze stack
swapaxes swapdims t take_along_dim tensor_split tile to _to_copy type_as transpose tril triu unbind unflatten
unfold unsafe_chunk unsafe_split unsafe_split_with_sizes unsqueeze view view_as _unsafe_view vstack hsplit
vsplit dsplit _cast_Byte _cast_Char _cast_Double _cast_Float _cast_Half _cast_Int _cast_Long _cast_Short
resolve_conj resolve_neg
"""
_NEW_TENSORS = """
arange bartlett_window blackman_window eye full full_like hamming_window hann_window linspace logspace
new_full new_ones new_zeros ones ones_like scalar_tensor tril_indices triu_indices zeros zeros_like
"""
_INDEXING = """
argsort argwhere bincount bucketize copy embedding embedding_bag _embedding_bag fill gather index index_add
index_copy index_fill index_put index_reduce index_select isin kthvalue masked_fill masked_scatter
masked_select msort nonzero nonzero_static one_hot put scatter scatter_add scatter_reduce searchsorted
select_scatter slice_scatter diagonal_scatter sort take topk _unsafe_index _unsafe_index_put zero
"""
_LINEAR_ALGEBRA = """
addbmm addmm addmv addr baddbmm bilinear bmm cdist _cdist_forward cosine_similarity cov cross dot einsum ger
inner kron linalg_cross linalg_det linalg_diagonal linalg_inv linalg_inv_ex linalg_matmul linalg_matrix_norm
linalg_matrix_power linalg_multi_dot linalg_norm linalg_solve linalg_solve_ex linalg_solve_triangular
linalg_vecdot linear matmul matrix_exp matrix_power mm mv outer pairwise_distance tensordot trace vdot
_trilinear
"""
_LAYERS = """
_adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d affine_grid_generator avg_pool1d avg_pool2d
avg_pool3d batch_norm col2im conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d
convolution _convolution grid_sampler grid_sampler_2d grid_sampler_3d group_norm gru gru_cell im2col
instance_norm layer_norm log_softmax _log_softmax lstm lstm_cell max_pool1d max_pool1d_with_indices max_pool2d
max_pool2d_with_indices max_pool3d max_pool3d_with_indices max_unpool2d max_unpool3d native_batch_norm
_native_batch_norm_legit_no_training native_group_norm native_layer_norm renorm rms_norm _fused_rms_norm
rnn_relu rnn_relu_cell rnn_tanh rnn_tanh_cell scaled_dot_product_attention _scaled_dot_product_flash_attention
_scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_efficient_attention
_scaled_dot_product_attention_math _native_multi_head_attention _transformer_encoder_layer_fwd _safe_softmax
softmax _softmax upsample_bicubic2d upsample_bilinear2d upsample_linear1d upsample_nearest1d
upsample_nearest2d upsample_nearest3d upsample_trilinear3d _upsample_bicubic2d_aa _upsample_bilinear2d_aa
_upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d _weight_norm
_weight_norm_interface fft_fft fft_fft2 fft_fftn fft_fftshift fft_hfft fft_ifft fft_ifft2 fft_ifftn
fft_ifftshift fft_ihfft fft_irfft fft_irfft2 fft_irfftn fft_rfft fft_rfft2 fft_rfftn _fft_c2c _fft_c2r
_fft_r2c imag istft real stft view_as_complex view_as_real complex
"""
# Sizes, and assertions about them.
_SIZES = """
item _local_scalar_dense numel size stride sym_constrain_range sym_constrain_range_for_size sym_is_contiguous
sym_numel sym_size sym_storage_offset sym_stride _assert_async _assert_scalar _assert_tensor_metadata
is_complex is_floating_point
"""
OPERATORS: Final = frozenset(
    " ".join(
        (_ELEMENTWISE, _REDUCTIONS, _SHAPES, _NEW_TENSORS, _INDEXING, _LINEAR_ALGEBRA, _LAYERS, _SIZES)
    ).split()
)

# Arithmetic on sizes. A whole name each: nothing is looked up in a module.
SYMBOLIC: Final[Mapping[str, Callable[..., Any]]] = {
    **{
        f"_operator.{name}": getattr(operator, name)
        for name in (
            "add",
            "and_",
            "eq",
            "floordiv",
            "ge",
            "gt",
            "le",
            "lt",
            "mod",
            "mul",
            "ne",
            "neg",
            "or_",
            "pos",
        )
    },
    "_operator.sub": operator.sub,
    "_operator.truediv": operator.truediv,
    "math.trunc": math.trunc,
    "torch.sym_float": float,
    "torch.sym_int": int,
    "torch.sym_ite": lambda chosen, one, other: one if chosen else other,
    "torch.sym_max": max,
    "torch.sym_min": min,
    "torch.sym_not": operator.not_,
}
_ATEN = re.compile(r"torch\.ops\.aten\.(\w+)\.(\w+)", re.ASCII)


def operator_of(target: str) -> tuple[str, str] | None:
    """Name and overload of an operator of torch.ops.aten that is allowed; None for any other target.

    >>> operator_of("torch.ops.aten.relu_.default"), operator_of("torch.ops.aten.from_file.default"), operator_of("os.system")
    (('relu_', 'default'), None, None)
    """
    found = _ATEN.fullmatch(target)
    if found is None:
        return None
    name, overload = found.groups()
    # An overload with `out` writes into an argument.
    allowed = name in OPERATORS or (name.endswith("_") and name[:-1] in OPERATORS)
    return (name, overload) if allowed and not overload.endswith("out") else None
