"""The neighbour search is exact however it is cut; one search serves many measures."""

import numpy as np
import pytest
import torch

from sslwork import measures
from sslwork.seeds import generator

Z = torch.randn(40, 6, generator=generator(0), dtype=torch.double)


class TestNeighbours:
    def test_against_the_full_matrix(self):
        u = torch.nn.functional.normalize(Z, dim=1)
        similarity = (u @ u.T).fill_diagonal_(-2)
        found = measures.neighbours(Z, k=5, chunk=7)
        assert torch.equal(found.rows, similarity.topk(5).indices)
        assert torch.allclose(found.similarity, similarity.topk(5).values)
        assert measures.neighbours(Z, Z, k=1).rows.flatten().tolist() == list(range(40))

    @pytest.mark.parametrize("k", [0, 40])
    def test_k_out_of_range(self, k):
        with pytest.raises(ValueError, match=r"k must lie in 1\.\.39"):
            measures.neighbours(Z, k=k)

    def test_margin(self):
        clusters = torch.eye(4).repeat_interleave(10, 0) + 0.01 * torch.randn(40, 4, generator=generator(11))
        y = torch.arange(4).repeat_interleave(10)
        assert torch.equal(measures.knn_margin(clusters, y, k=5), torch.ones(40).double())
        y[0] = 3  # mislabelled: its neighbours say so
        assert measures.knn_margin(clusters, y, k=5)[0] == -1

    @pytest.mark.parametrize("block", [3, 16, 39])
    def test_any_block_of_the_bank_gives_the_same(self, block, tmp_path):
        np.save(tmp_path / "z.npy", Z.numpy())
        mapped = np.load(tmp_path / "z.npy", mmap_mode="r")
        queries = torch.randn(11, 6, generator=generator(1), dtype=torch.double)
        for q in (None, queries):
            whole, cut = (
                measures.neighbours(Z, q, k=9),
                measures.neighbours(mapped, q, k=9, chunk=4, block=block),
            )
            assert torch.equal(whole.rows, cut.rows) and torch.allclose(whole.similarity, cut.similarity)

    def test_a_wide_bank_by_groups_of_columns(self):
        bank = torch.randn(643, 5, generator=generator(2), dtype=torch.double)
        u = torch.nn.functional.normalize(bank, dim=1)
        truth = (u @ u.T).fill_diagonal_(-2).topk(7)
        assert torch.equal(measures.neighbours(bank, k=7).rows, truth.indices)

    def test_one_search_serves_all(self):
        y, found = torch.arange(40) % 4, measures.neighbours(Z, k=12)
        for k in (1, 5, 12):
            assert torch.equal(measures.knn_margin(Z, y, k=k, found=found), measures.knn_margin(Z, y, k=k))
        with pytest.raises(ValueError, match=r"1\.\.12, the neighbours that were found; got 13"):
            measures.knn_margin(Z, y, k=13, found=found)
        with pytest.raises(ValueError, match="neighbours of 40 rows, there are 7 queries"):
            measures.knn(Z, y, Z[:7], y[:7], k=3, found=found)

    def test_half_precision_and_shapes(self):
        half = measures.neighbours(Z.half(), k=3)
        assert half.similarity.dtype == torch.float
        with pytest.raises(ValueError, match=r"bank must have shape \(N, D\), N >= 1, got \(0, 6\)"):
            measures.neighbours(Z[:0], k=1)
