/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands of mpmap. argv[0] is the command's own name; they return the exit status. */
#ifndef MPMAP_COMMANDS_H
#define MPMAP_COMMANDS_H

int command_map(int argc, char **argv);
int command_reduce(int argc, char **argv);
int command_status(int argc, char **argv);
int command_look(int argc, char **argv);
int command_info(int argc, char **argv);

#endif
