import pytest

from mlip_autopipec.oracle.qe_launch import Launch, largest_divisor, n_k_points


@pytest.mark.parametrize(
    ("command", "processes"),
    [
        ("pw.x", 1),
        ("mpirun -np 4 pw.x", 4),
        ("mpirun --bind-to none -n 6 /opt/qe/bin/pw.x", 6),
        ("srun --ntasks=8 pw.x", 8),
        ("mpirun pw.x -n 3", 1),
        ("env OMP_NUM_THREADS=1 mpiexec -n 2 pw.x", 2),
    ],
)
def test_the_number_of_processes_is_read_from_the_command(command, processes):
    assert Launch(command).processes == processes


@pytest.mark.parametrize(
    ("command", "points", "arguments"),
    [
        ("pw.x", 14, ["-i", "pw.in"]),
        ("mpirun -np 4 pw.x", 14, ["-nk", "4", "-i", "pw.in"]),
        ("mpirun -np 4 pw.x", 3, ["-nk", "2", "-i", "pw.in"]),
        ("mpirun -np 6 pw.x", 5, ["-nk", "3", "-i", "pw.in"]),
        ("mpirun -np 4 pw.x", 1, ["-i", "pw.in"]),
        ("mpirun -np 4 pw.x -nk 2", 14, ["-i", "pw.in"]),
    ],
)
def test_pools_divide_the_processes_and_are_not_more_than_the_points(command, points, arguments):
    assert Launch.for_points(command, points).arguments == arguments


def test_fewer_processes_keep_the_rest_of_the_command():
    launch = Launch("mpirun --bind-to none -np 8 pw.x", pools=8)
    assert launch.with_processes(4) == Launch("mpirun --bind-to none -np 4 pw.x", pools=4)
    assert Launch("srun --ntasks=8 pw.x").with_processes(2).command == "srun --ntasks=2 pw.x"
    assert Launch("pw.x").with_processes(2) == Launch("pw.x")


def test_largest_divisor():
    assert [largest_divisor(12, n) for n in (0, 1, 5, 7, 100)] == [1, 1, 4, 6, 12]


# Numbers of points that pw.x 6.7 prints for these grids with nosym and time reversal.
@pytest.mark.parametrize(
    ("grid", "shifted", "points"),
    [
        ((1, 1, 1), False, 1),
        ((2, 2, 2), False, 8),
        ((3, 3, 3), False, 14),
        ((4, 4, 4), False, 36),
        ((4, 4, 4), True, 32),
        ((3, 3, 3), True, 14),
        ((4, 4, 1), False, 10),
    ],
)
def test_points_are_counted_up_to_time_reversal(grid, shifted, points):
    assert n_k_points(grid, shifted) == points
