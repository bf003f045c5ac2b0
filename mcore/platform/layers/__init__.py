"""Layers: thin modules over the words, with torch's constructors, state and default initialisation."""

from mcore.platform.layers.activation import *
from mcore.platform.layers.attention import *
from mcore.platform.layers.convolution import *
from mcore.platform.layers.dropout import *
from mcore.platform.layers.embedding import *
from mcore.platform.layers.linear import *
from mcore.platform.layers.loss import *
from mcore.platform.layers.normalization import *
from mcore.platform.layers.padding import *
from mcore.platform.layers.pooling import *
from mcore.platform.layers.recurrent import *
from mcore.platform.layers.shape import *
from mcore.platform.layers.transformer import *
