int bench_metg(int argc, char **argv);
int bench_metg(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return 0;
}
